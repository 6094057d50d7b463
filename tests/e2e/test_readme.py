"""The picture in the README is what a push prints."""

from __future__ import annotations

import re

from tests.e2e.conftest import Deployable
from tests.support.installed import CHECKOUT

DIFFERENT = (  # what is another one at each push
    (r"\d+\.\d s", "N s"),
    (r"\d+\.\d MB", "N MB"),
    (r"\d+ files", "N files"),
    (r"sha256:[0-9a-f]+", "sha256:ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (r"http://\S+", "http://HOST"),
    (r"FROM \S+", "FROM BASE"),
    (r" · (CACHED|N s)", " · DONE"),
    (r" ID \S.*", " ID SUBJECT"),
)


PROGRESS = "    Push: pushed .*/N MB|sending the build context: .*"
"""What is said of a transfer that takes a while."""


def plain(lines: list[str]) -> list[str]:
    """Lines without what is another at each push."""
    for pattern, word in DIFFERENT:
        lines = [re.sub(pattern, word, line).rstrip() for line in lines]
    passing = [
        line.removesuffix(" · DONE") for line in lines if line.endswith(" · DONE")
    ]  # that a step begins, if it takes a while
    return [line for line in lines if line not in passing and not re.fullmatch(PROGRESS, line)]


def test_the_picture_is_what_a_push_prints(app: Deployable) -> None:
    app.clone.release("0.0.1")
    app.clone.push(app.remote)
    app.clone.release("0.0.2")
    push = app.clone.push(app.remote).text
    printed = [line.removeprefix("remote: ") for line in push.splitlines() if line.startswith("remote: ")]
    names = ((app.image, "127.0.0.1:5000/dev-app"), (app.container, "dev-app"), (app.name, "devops/dev-app"))
    for name, shown in names:
        printed = [line.replace(name, shown) for line in printed]
    (block,) = re.findall(r"^\$ git push\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    pictured = [line.removeprefix("remote: ") for line in block.splitlines() if line.startswith("remote: ")]

    def beside(lines: list[str]) -> tuple[list[str], list[str]]:
        """What Push says, which comes whenever it comes, and all else."""
        pushed = [line for line in lines if line.startswith("    Push: ")]
        return pushed, [line for line in lines if line not in pushed]

    assert beside(plain(printed)) == beside(plain(pictured))
