"""What a pushed Dockerfile may take: frontends of the list, and no other app's image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.sections import Build
from gitdeploy.errors import BuildFailed, GitdeployError, StageFailed
from gitdeploy.pipeline.bases import Bases
from gitdeploy.pipeline.buildcache import KEY, cache_name
from gitdeploy.pipeline.buildguard import check_base, check_frontends, check_sources
from gitdeploy.releases.release import APP
from tests.support.fake_engine import FakeEngine

ME = App("o/me", image="127.0.0.1:5000/o/me", container="me")
OTHER = App("o/other", image="127.0.0.1:5000/o/other", container="other")
HUB = App("o/hub", image="6ain/hub", container="hub")


@pytest.mark.parametrize(
    "image",
    [
        *("docker/dockerfile", "docker/dockerfile:1", "docker/dockerfile:1.7-labs", "docker.io/docker/dockerfile:1"),
        *("index.docker.io/docker/dockerfile", "docker/dockerfile:1@sha256:" + "a" * 64),
    ],
)
def test_dockers_own_frontend_may_be_named(image: str) -> None:
    check_frontends(f"# syntax={image}\nFROM x", ME)


@pytest.mark.parametrize(
    "text",
    [
        *(f"# syntax={image}\n" for image in ("evil/frontend", "docker/dockerfile-upstream:1", "x.io/docker/dockerfile")),
        *("# syntax=docker/dockerfile\tevil\n", "# syntax=docker/dockerfile/../evil\n", "#syntax=EVIL\n"),
        *("// syntax=evil\n", '{"syntax": "evil"}', '{"syntax": 1}', "#!/x\n# syntax=evil\n", "\ufeff#\x0csyntax=evil\n"),
        *("# syntax=docker/dockerfile:1\n# syntax=evil\n", "# check=\x0b\n# syntax=evil\n"),
    ],
)
def test_another_frontend_is_refused(text: str) -> None:
    with pytest.raises(StageFailed, match=r"Dockerfile line \d: expected a frontend of build\.frontends \(docker/dockerfile\)"):
        check_frontends(text, ME)
    if '"syntax": 1' not in text and "evil" in text and "/dockerfile/" not in text and "\t" not in text:
        allowed = Build(frontends=("docker/dockerfile", "evil", "evil/frontend"))
        check_frontends(text, replace(ME, build=allowed))


def test_the_server_may_allow_none() -> None:
    with pytest.raises(StageFailed, match=r"\(none\), found \"docker/dockerfile:1\""):
        check_frontends("# syntax=docker/dockerfile:1", replace(ME, build=Build(frontends=())))


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("127.0.0.1:5000/o/other", {}),
        ("127.0.0.1:5000/o/other:1.0", {}),
        ("127.0.0.1:5000/o/other@sha256:" + "b" * 64, {}),
        ("docker.io/6ain/hub:1", {}),
        ("registry.hub.docker.com/6ain/hub:1", {}),
        ("LOCALHOST:05000/o/other", {}),
        ("6ain/hub", {}),
        ("gone:1", {APP: "o/removed"}),
        ("0123456789ab", {APP: "o/other"}),
    ],
)
def test_the_image_of_another_app_is_refused_unless_the_server_allows_it(image: str, labels: dict[str, str]) -> None:
    with pytest.raises(StageFailed, match=r"is an image of the app \"o/") as caught:
        check_base(image, labels, ME, [OTHER, HUB])
    assert 'build.bases in [apps."o/me"] of config.toml' in caught.value.hint
    bases = ("127.0.0.1:5000/o/other", "docker.io/6ain/hub", "gone", "0123456789ab")
    check_base(image, labels, replace(ME, build=Build(bases=bases)), [OTHER, HUB])


@pytest.mark.parametrize("host", ["box.lan:5000", "192.0.2.7:5000", "127.0.0.1.nip.io:5000", "docker.io", "127.0.0.1:5001"])
def test_the_path_of_another_apps_image_is_refused_in_every_registry(host: str) -> None:
    with pytest.raises(StageFailed, match=r"which may be an image of the app \"o/other\": it has the same path") as caught:
        check_base(f"{host}/o/other:1", {}, ME, [HUB, OTHER])
    assert "build.bases" in caught.value.hint
    check_base(f"{host}/o/other:1", {}, replace(ME, build=Build(bases=(f"{host}/o/other",))), [HUB, OTHER])


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("debian:12", {}),
        ("other", {}),
        ("localhost:05000/o/me:1", {}),
        ("127.0.0.1:5000/o/me:1", {APP: "o/me"}),
        ("127.0.0.1:5000/o/me:1", {APP: "o/former-name"}),
        ("$x", {}),
    ],
)
def test_other_images_are_free_to_take(image: str, labels: dict[str, str]) -> None:
    check_base(image, labels, ME, [OTHER, HUB])


REGISTRY = App("o/box", image="box.lan:5000/o/box", container="box")
PLAIN = App("o/plain", image="r.example/o/plain", container="plain")
LOCAL = "ADD may load nothing from this machine or its link, found"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        *(
            (f"ADD {url} /x", LOCAL)
            for url in ("http://127.0.0.1:5000/v2/", "https://LOCALHOST/x", "HTTP://127.1", "http://[::1]/")
        ),
        *(
            (f"ADD http://{host}/x /x", LOCAL)
            for host in ("2130706433", "0x7f.1", "0177.0.0.1", "0", "me@127.0.0.1", "a.localhost")
        ),
        *(
            (f"ADD http://{host}/x /x", LOCAL)
            for host in ("169.254.169.254", "[fe80::1%25eth0]", "[::ffff:a9fe:a9fe]", "localhost.")
        ),
        *(
            (f"ADD {source} /x", LOCAL)
            for source in ("git@127.0.0.1:o/x.git", "ann.b@127.0.0.1:o/x.git", "git://localhost/x.git", "ssh://git@[::1]:22/x")
        ),
        ('ADD ["http://127.0.0.1/x", "/x"]', LOCAL),
        ('ADD ["http://127.0.0.1","/x"]', LOCAL),
        ('ADD ["http://a,b@127.0.0.1" , "/x"]', LOCAL),
        ("ADD http://a,b@127.0.0.1/x /x", LOCAL),
        ('ADD http://a","b@127.0.0.1/x /x', LOCAL),
        (r'ADD ["http://\u0031\u00327.0.0.1/x","/x"]', LOCAL),
        ("ADD --chown=1 http://127.'0'.0.1/x http://example.org/ /x", LOCAL),
        ("ADD a \\\n http://127.0.0\\\n.1/x /x", LOCAL),
        ("ONBUILD ADD http://127.0.0.1/x /x", LOCAL),
        *((f"{keyword} http://127.0.0.1/x /x", LOCAL) for keyword in ("A\\\nDD", "A\\\n# c\nDD", "A\\\n\n\nD\\\n \t# c\nD")),
        ("A" + "\\\n" * 60 + "DD http://127.0.0.1/x /x", LOCAL),
        (f"ONBUILD{' ' * 50}A\\\nDD http://127.0.0.1/x /x", LOCAL),
        ("ADD \\\n# a comment\n\n  http://127.\\\n\n# another\n0.0.1/x /x", LOCAL),
        ("ADD http://127.\\\n  0.0.1/x /x", LOCAL),
        *((f"{keyword}\\\n \\\nhttp://127.0.0.1/x /x", LOCAL) for keyword in ("ADD", "ONBUILD ADD", "A\\\nDD")),
        ("ADD\\\n\t`\nhttp://127.0.0.1/x /x", LOCAL),
        *((f"ADD http://x\\{escape}@127.0.0.1/x /x", LOCAL) for escape in ("u002f", "u0020", "u005c")),
        (r'ADD ["http://x\\u002f@127.0.0.1/x","/x"]', LOCAL),
        (r'ADD ["http://e.example","http://a\u0022,\u0022b@127.0.0.1/x","/x/"]', LOCAL),
        ('ADD ["http\\\\\\`\nu003a//127.0.0.1/x","/x"]', LOCAL),
        *((f"ADD http://{host}/v2/ /x", LOCAL) for host in (":5000", "me@:5000", "\u200b:5000", "\u00ad:5000", "")),
        *((f"ADD http://[{host}]/x /x", LOCAL) for host in ("::1%25a%25b", "::1%25%25", "::ffff:127.0.0.1%25a%25b")),
        ("ADD http://" + "a" * 1500 + "@" + "\u00ad" * 1500 + "127.0.0.1/x /x", LOCAL),
        *(
            (f"ADD http://{host}/x /x", LOCAL)
            for host in (
                "%EF%BC%9127.0.0.1",
                "%6cocalhost",
                "127%2e0.0.1",
                "127\u30020.0.1",
                "lo\u00adcalhost",
                "127.0\ufe0f.0.1\u2060",
            )
        ),
        ("add http://BOX.lan:05000/v2/o/box/tags/list /x", "the registry of an app"),
        ("ADD https://r.example/v2/ /x", "the registry of an app"),
        ("ADD http://r.example:80/v2/ /x", "the registry of an app"),
        ("ADD http://r.example:/v2/ /x", "the registry of an app"),
    ],
)
def test_what_only_the_engine_can_reach_is_not_added(line: str, why: str) -> None:
    with pytest.raises(StageFailed, match=rf"Dockerfile line 2: .*{why}") as caught:
        check_sources(f"FROM x\n{line}\n", ME, [ME, REGISTRY, PLAIN, HUB])
    assert "put the file into the repository" in caught.value.hint


ODD = [
    *("ADD \\\n\x01# {} /x/", "ADD \\\n\x0b# {} /x/", "ADD\\\n\t\x01# {} /x/\nLABEL x=y", "ONBUILD \u2003ADD {} /x"),
    *(
        "ONBUILD \x85ADD {} /x",
        "\xa0" * 41 + "ADD {} /x",
        "A\\\n\u2003# c\nDD {} /x",
        "RUN x \\\r\r\nADD {} /x",
        "ADD\ufffd {} /x",
    ),
]


@pytest.mark.parametrize("line", ODD)
def test_what_parts_words_for_one_builder_only_is_in_comments_at_most(line: str) -> None:
    with pytest.raises(BuildFailed, match=r"line [23] of the Dockerfile: expected UTF-8 with plain spaces and tabs, found"):
        check_sources(f"FROM x\n{line.format('http://127.0.0.1/x')}\n", ME, [ME])
    check_sources("\ufeff# \u00ab\u00a0oui\u00a0\u00bb \ufffd\nFROM x\n  #\u3000c\nLABEL a='\u00e0 \u2026'\r\n", ME, [ME])


HIDING = [
    *("RUN true # it's <<EOF", "RUN cat <<A\\ B", "RUN cat <<\\A", 'RUN <<"A\\"\nA\\', "RUN a \\\n\\", "RUN a \\\n# b"),
    *("RUN a `", "# escape=`\nRUN a `", "# syntax=x\n# escape=`\nRUN a \\"),
]
"""What some builder ends before the next line, where another goes on."""


@pytest.mark.parametrize("before", HIDING)
def test_no_line_before_it_hides_an_add(before: str) -> None:
    with pytest.raises(StageFailed, match=LOCAL):
        check_sources(f"FROM x\n{before}\nADD http://127.0.0.1/x /x\n", ME, [ME])


@pytest.mark.parametrize(
    ("env", "onbuild", "text", "why"),
    [
        ((), ("RUN x", "ADD http://[::1]/ /x"), "FROM b:1\n", LOCAL),
        (("A=" + "x" * 60_000,), (), "FROM b:1\nLABEL a=$A$A$A$A$A", "with its variables filled in"),
    ],
    ids=["ONBUILD", "env"],
)
def test_what_a_base_image_brings_along_is_looked_at(
    env: tuple[str, ...], onbuild: tuple[str, ...], text: str, why: str
) -> None:
    engine = FakeEngine()
    Bases(engine, text, ME, [ME]).ask("b:1")  # the engine has no such image yet, and nobody can tell
    engine.add_image("b:1", env=env, onbuild=onbuild)
    with pytest.raises(GitdeployError, match=why):
        Bases(engine, text, ME, [ME])
    asked = Bases(engine, f"ARG B\n{text.replace('b:1', '$B')}", ME, [ME])
    with pytest.raises(GitdeployError, match=why):
        asked.ask("b:1")


@pytest.mark.parametrize(
    "line",
    [
        *("ADD https://example.org/x /x", "ADD http://127.0.0.1.example.org/ /x", "ADD https://github.com/a/b.git#main /x"),
        *(
            "ADD http://box.lan:3000/x /x",
            "ADD http://r.example:8080/ /x",
            "RUN x && \\\n add-apt-repository 'deb http://localhost/apt x'",
            "COPY <<EOF /x\n  add_header Access-Control-Allow-Origin http://localhost:3000;\nEOF",
            "ADD http://x.example:\u00b2/ /x",
            "ADD http://$HOST/ /x",
        ),
        *("ADD 127.0.0.1 /x", "ADD", "RUN echo http://127.0.0.1/", "COPY http://127.0.0.1/ /x", "ADD https://docker.io/ /x"),
    ],
)
def test_other_sources_are_free_to_add(line: str) -> None:
    check_sources(f"FROM x\n{line}\n", ME, [ME, REGISTRY, PLAIN, HUB])


def test_the_name_of_a_cache_stays_and_cannot_be_told_from_the_apps(tmp_path: Path) -> None:
    one = cache_name(tmp_path, "o/me")
    assert (one, len(one), one.isalnum()) == (cache_name(tmp_path, "o/me"), 32, True)
    assert cache_name(tmp_path, "o/other") != one
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    (tmp_path / KEY).write_bytes(b"cut off")
    another = cache_name(tmp_path, "o/me")
    assert another not in (one, "")
    assert cache_name(tmp_path, "o/me") == another
