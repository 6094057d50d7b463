"""What the README says of keys and commands is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from gitdeploy.cli import VERBS
from gitdeploy.config.reference import reference

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_configuration_is_the_reference() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert reference() in blocks


def test_every_command_is_listed() -> None:
    listed = {verb for row in re.findall(r"^\| (`.*?) \|", README, re.MULTILINE) for verb in re.findall(r"`([a-z-]+)", row)}
    assert set(VERBS) <= listed


def test_links_within_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {anchor for anchor in re.findall(r"\]\(#([^)]*)\)", README)} <= anchors
