"""Dockerfiles, as far as gitdeploy looks into them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.model import App
from gitdeploy.engine.directives import frontends, syntax_image
from gitdeploy.engine.dockerfile import MOST_IMAGES, base_images, beyond_classic, parse
from gitdeploy.engine.growth import require_modest
from gitdeploy.engine.types import Image
from gitdeploy.errors import BuildFailed, GitdeployError
from gitdeploy.pipeline.buildguard import check_sources

APP = App("o/me", image="127.0.0.1:5000/o/me", container="me")

PARSED: list[tuple[str, list[tuple[int, str, dict[str, str], tuple[str, ...]]]]] = [
    ("", []),
    ("FROM base:1", [(1, "FROM", {}, ("base:1",))]),
    ("\ufeff# comment\n\n  from base:1 \r\n", [(3, "FROM", {}, ("base:1",))]),
    ("RUN a && \\\n  b \\ \n  c\nRUN d", [(1, "RUN", {}, ("a", "&&", "b", "c")), (4, "RUN", {}, ("d",))]),
    ("RUN a \\\n# a comment within\n\n  b", [(1, "RUN", {}, ("a", "b"))]),
    ("RUN a \\", [(1, "RUN", {}, ("a",))]),
    ("# escape=`\nRUN a `\n b\\", [(2, "RUN", {}, ("a", "b\\"))]),
    ("COPY --from=one --chmod=755 a b", [(1, "COPY", {"from": "one", "chmod": "755"}, ("a", "b"))]),
    ("RUN --mount=type=cache --mount=type=bind x", [(1, "RUN", {"mount": "type=cache,type=bind"}, ("x",))]),
    ("ONBUILD RUN --network=none x", [(1, "RUN", {"network": "none"}, ("x",))]),
    ("""RUN echo "a b" 'c d'e""", [(1, "RUN", {}, ("echo", '"a b"', "'c d'e"))]),
    ("RUN <<EOF sh\nFROM nothing\nEOF\nRUN x", [(1, "RUN", {}, ("<<EOF", "sh")), (4, "RUN", {}, ("x",))]),
    ("COPY <<a <<-'b' /\n1\na\n\tb\nRUN x", [(1, "COPY", {}, ("<<a", "<<-'b'", "/")), (5, "RUN", {}, ("x",))]),
    ("RUN <<EOF\nnever ends", [(1, "RUN", {}, ("<<EOF",))]),
]


@pytest.mark.parametrize(("text", "expected"), PARSED)
def test_instructions(text: str, expected: list[tuple[int, str, dict[str, str], tuple[str, ...]]]) -> None:
    assert [(i.line, i.keyword, dict(i.flags), i.words) for i in parse(text)] == expected


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("FROM base:1", {}, ("base:1",)),
        ("FROM --platform=linux/amd64 base:1 AS one\nFROM one\nFROM scratch", {}, ("base:1",)),
        ("FROM a AS One\nFROM ONE", {}, ("a",)),
        ("FROM a\nFROM a", {}, ("a",)),
        ("ARG V=3\nFROM python:${V}-slim", {}, ("python:3-slim",)),
        ("ARG V=3\nFROM python:$V", {"V": "4"}, ("python:4",)),
        ('ARG V="3"\nARG IMAGE=python:$V\nFROM $IMAGE', {}, ("python:3",)),
        ("FROM ${NONE:-busybox}\nFROM a${NONE:+-b}", {}, ("busybox", "a")),
        ("ARG V\nFROM a${V:+-$V}", {"V": "b"}, ()),  # nested variables are not filled in
        ("ARG IMAGE\nFROM ${IMAGE}", {}, ()),
        ("FROM $UNKNOWN", {}, ()),
        ("ARG ONE=1 TWO=2\nFROM a:$ONE-$TWO", {}, ("a:1-2",)),
        ("ARG V=\nFROM a${V:-1}${V-2}", {}, ("a1",)),
        ("FROM a:${TARGETARCH:-x}", {}, ()),
        ("FROM a:$TARGETARCH", {"TARGETARCH": "x"}, ()),
        ("ARG TARGETARCH\nFROM a:$TARGETARCH", {"TARGETARCH": "x"}, ("a:x",)),
        ("ARG V='$A'\nFROM a:$V\nFROM '$V'\nFROM b\\:1\nFROM c'd'", {}, ("b:1", "cd")),
        ("FROM a:${V:?x}\nFROM a:${V#x}\nFROM a:${\nFROM a:${V", {"V": "1"}, ()),
        ("FROM a\nARG V=1\nCOPY --from=b:$V / /", {}, ("a",)),
        ("FROM a AS x\nCOPY --from=x / /\nCOPY --from=0 / /\nCOPY --from=reg:5000/b:1 / /", {}, ("a", "reg:5000/b:1")),
        ("FROM a\nRUN --mount=type=bind,from=b,target=/b --mount=from=c,target=/c x", {}, ("a", "b", "c")),
        ("FROM a\nRUN <<EOF\nFROM nothing\nEOF", {}, ("a",)),
        ("FROM a\nCOPY --from='b:1' / /\nCOPY --from=\"c\" / /", {}, ("a", "b:1", "c")),
        ('ARG BASE="alpine:3"\nFROM ${BASE}\nFROM $BASE', {"BASE": "debian:12"}, ("debian:12",)),
        ("not a dockerfile", {}, ()),
        ("FROM a\nRUN b \\\\\nCOPY --from=c /a /b", {}, ("a", "c")),
        ("# check=x\n# escape=`\nFROM a\nRUN b `\nCOPY --from=c /a /b", {}, ("a", "c")),
        ("FROM a/b\\c\nFROM d''e\nCOPY --from=f\\g''h / /", {}, ("a/bc", "de", "fgh")),
        ("FROM", {}, ()),
    ],
)
def test_base_images(text: str, args: dict[str, str], expected: tuple[str, ...]) -> None:
    assert base_images(text, args) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#syntax = docker/dockerfile:1 \nFROM a", "docker/dockerfile:1"),
        ("# escape=`\n# Syntax=a/b\nFROM a", "a/b"),
        ("# a comment ends the directives\n# syntax=a/b\nFROM a", ""),
        ("\n# syntax=a/b\nFROM a", ""),
        ("FROM a\n# syntax=a/b", ""),
    ],
)
def test_syntax_image(text: str, expected: str) -> None:
    assert syntax_image(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM --platform=linux/amd64 a\nCOPY --chown=1 --from=x a b\nADD --chown=1 a b", []),
        ("FROM a\nHEALTHCHECK --interval=1s --timeout=1s --retries=3 --start-period=1s CMD x", []),
        ('FROM a\nRUN echo "<<EOF" $((1<<2)) <<<here\nENV A=<<EOF', []),
        ("FROM a\n\nRUN --mount=type=cache,target=/c x", [(3, "RUN --mount")]),
        ("FROM a\nRUN --network=none --security=insecure x", [(2, "RUN --network"), (2, "RUN --security")]),
        ("FROM a\nCOPY --link --chmod=1 a b", [(2, "COPY --link"), (2, "COPY --chmod")]),
        ("FROM a\nADD --checksum=sha256:1 https://x y", [(2, "ADD --checksum")]),
        ("FROM a\nRUN true \\\n && true\nRUN <<EOF\necho\nEOF\nCOPY <<-'X Y' /x\nX Y\n", [(4, "RUN <<EOF"), (7, "COPY <<X Y")]),
        ("FROM a\nRUN cat <<'EOF' > /x\nEOF", [(2, "RUN <<EOF")]),
        ("FROM a\nONBUILD COPY --link a b", [(2, "COPY --link")]),
        ("ARG TARGETOS\nFROM a\nARG TARGETARCH BUILDPLATFORM=x\nARG ARCH", [(1, "ARG TARGETOS"), (3, "ARG TARGETARCH")]),
        ("ARG BUILDOS\nFROM a", []),  # given as a build argument
        ("FROM a\nADD https://x/y.git#v1 /y\nADD git@x:y.git z /", [(2, "ADD https://x/y.git#v1"), (3, "ADD git@x:y.git")]),
        ("FROM a\nADD https://x/y.tar.gz x.git /y.git", []),
        ("ARG V=b''c\nFROM a\nFROM $V\nFROM ${Z:-d}", [(3, "FROM $V")]),
    ],
)
def test_what_the_classic_builder_cannot_do(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(beyond_classic(text, {"BUILDOS": "linux"})) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a", []),
        ("# syntax=a/b:1 with words\nFROM a", [(1, "a/b:1")]),
        ("#!/usr/bin/env build\n#syntax=a", [(2, "a")]),
        ("\ufeff// Syntax = a\n", [(1, "a")]),
        ("# escape=`\n// check=x\n#\v\x85\xa0syntax=a\r\n# syntax=b", [(3, "a"), (4, "b")]),
        ("# a comment ends what BuildKit reads, some versions' at least\n# syntax=a\nFROM b\n# syntax=c", [(2, "a")]),
        (' \n{"syntax": "x", "syntax": "a"}', [(1, "")]),
        ('{"syntax": "a", "Syntax": "b"}', [(1, "")]),
        ('{"\u017fyntax": "b"}', [(1, "")]),
        ('{"x": {"syntax": "a"}}', [(1, "")]),
        ('#!\n{"syntax": "a"}', [(2, "a")]),
        ('{"syntax": ["a"]}', [(1, "")]),
        ("{" * 100_000, [(1, "")]),
        ('{"syntax": "a"', [(1, "")]),
        ("# syntax=\nFROM a", []),
    ],
)
def test_every_frontend_that_a_version_of_buildkit_may_take(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(frontends(text)) == expected


DOUBLING = "ARG A0=" + "x" * 8 + "\n" + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(30)) + "FROM $A31\nFROM a:$A1\n"


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING,
        "ARG X=" + "x" * 4000 + "\n" + "".join(f"ARG A{n}=${{X}}{n}\n" for n in range(50_000)) + "FROM $A9",
        "RUN " + "'\"" * 500_000,
        "RUN " + "\"'\\" * 333_333,
        "RUN " + "\\" * 1_000_000,
        "FROM a" + "${b-" * 250_000,
        "RUN" + " --mount=from=$x" * 60_000,
        "COPY" + " --a" * 250_000,
        "# a=x" + " " * 1_000_000 + "y",
        "RUN a \\\n" * 125_000,
        "FROM a\n" * 140_000,
        "RUN " + "<<a " * 250_000,
        "RUN x\\" + " " * 1_000_000 + "y",
        "ENV " + "$" * 1_000_000,
        "ENV " + "${a//" * 200_000,
        "ENV " + "${a//x/y}" * 100_000,
        "ENV a=1" + " b" * 500_000,
        "ENV " + "a=" * 500_000,
        "ENV a=$a\n" * 100_000,
        "COPY <<a b\n" * 80_000,
        "ENV a=$a \\\n" * 90_000,
        "ENV \\\n" * 150_000,
        "\\\n" * 400_000,
        "EN\\\n" * 200_000,
        "E\\\n \\\n" * 150_000,
        "ADD " + "a" * 1_000_000,
        "ADD " + "a@" * 500_000,
        "ADD " + "http://" * 140_000,
        "ADD http://" + "\ufdfa" * 330_000,
        "ADD " + "[" * 1_000_000,
        'ADD ["' + "\\u0031" * 160_000,
        "ONBUILD ENV a=$a\nFROM a\n" * 40_000,
        "ONBUILD " * 120_000,
        "ENV a=" + "$a" * 40 + " \\\n" + "# x\n" * 200_000,
    ],
    ids=lambda text: text[:9],
)
def test_no_text_takes_long(text: str) -> None:
    """Each of a megabyte takes a second or so, looked at in all ways; what is quadratic takes minutes."""
    began = time.process_time()
    images: tuple[str, ...] = ()
    with contextlib.suppress(BuildFailed):
        images = base_images(text, {})
    with contextlib.suppress(BuildFailed):
        list(beyond_classic(text, {}))
    with contextlib.suppress(GitdeployError):
        check_sources(text, APP, [APP])
    list(frontends(text))
    assert time.process_time() - began < 8
    assert all(len(image) <= 4096 for image in images)


def test_values_of_variables_have_a_length() -> None:
    with pytest.raises(BuildFailed, match="line 15 of the Dockerfile: with its variables filled in, ARG may have more than"):
        base_images(DOUBLING, {})


@pytest.mark.parametrize(
    "text",
    [
        "ARG A0=" + "x" * 100 + "\n" + "".join(f"ARG A{n + 1}=${{A{n}:-${{A{n}}}}}'$A{n}'\n" for n in range(30)) + "FROM a\n",
        "FROM a\nENV A0 " + "x" * 9000 + "\n" + "".join(f"ENV A{n + 1} $A{n}$A{n}\n" for n in range(30)),
        "FROM a\nENV A=" + "x" * 9000 + "\n" + "LABEL a=$A b=$A c=$A d=$A\n" * 4000,
        "FROM a\nENV A=" + "x" * 9000 + "\nUSER " + "$A" * 5000,
    ],
    ids=["nested", "in a stage", "many words", "one word"],
)
def test_no_spelling_makes_the_engine_fill_in_gigabytes(text: str) -> None:
    with pytest.raises(BuildFailed, match="with its variables filled in"):
        base_images(text, {})


BASE = Image("sha256:1", (), (), {}, (), False, 0, "")

MANY = {
    "instructions": "FROM a\n" + "LABEL a=b\n" * 5000,
    "variables": "FROM a\n" + "".join(f"ENV a{n}=1\n" for n in range(400)),
    "variables of one instruction": "FROM a\nENV " + " ".join(f"a{n}=1" for n in range(1000)) + "\n" + "LABEL a=b\n" * 100,
    "ONBUILD in many stages": "FROM a AS b\n" + "ONBUILD LABEL a=b\n" * 100 + "FROM b\n" * 100,
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY.keys())
def test_many_instructions_are_not_left_to_the_engine(text: str) -> None:
    with pytest.raises(BuildFailed, match="are more than the engine can do in time"):
        require_modest(text, {})


def test_a_large_dockerfile_is_built() -> None:
    text = "FROM a AS b\nONBUILD RUN make\n" + "".join(f"ENV A{n}=$A{n - 1}:/b\nRUN make {n}\n" for n in range(60))
    require_modest(text + "FROM b\n" * 30, {"A": "b"}, [replace(BASE, env=tuple(f"B{n}={n}" for n in range(40)))])


@pytest.mark.parametrize(
    ("base", "text"),
    [
        (replace(BASE, env=("A=" + "x" * 60_000,)), "FROM b\nENV B=" + "$A" * 30 + "\n"),
        (replace(BASE, env=("A=" + "x" * 60_000,)), "FROM b\n" + "LABEL a=$A\n" * 300),
        (replace(BASE, onbuild=("ENV A=" + "x" * 60_000,)), "FROM b\nENV B=" + "$A" * 30 + "\n"),
        (replace(BASE, onbuild=("LABEL a=b",) * 100), "FROM b\n" * 100),
        (replace(BASE, env=tuple(f"A{n}=1" for n in range(2000))), "FROM b\n" + "RUN true\n" * 100),
    ],
    ids=["a value", "a value in many places", "a value of ONBUILD", "ONBUILD", "variables"],
)
def test_what_a_base_image_brings_along_counts(base: Image, text: str) -> None:
    require_modest(text, {})
    with pytest.raises(BuildFailed):
        require_modest(text, {}, [BASE, base])


def doubling(name: str, reference: str, keyword: str = "ENV") -> str:
    """Thirty lines that double one value, under any spelling of its name and of what refers to it."""
    return "FROM a\n" + f"{keyword} {name}=xxxxxxxxxxxxxxxx\n" + f"{keyword} {name}={reference}{reference}\n" * 30


SHORT = "FROM a\nENV A=xxxxxxxxxxxxxxxx\n"
LONG = "FROM a\nENV A=" + "x" * 9000 + "\n"

EVASIONS = {
    "quoted name": doubling('"A1"', "$A1"),
    "half quoted name": doubling('A"1"', "$A1"),
    "escaped name": doubling("A\\1", "$A1"),
    "name in a variable": "FROM a\nENV N=A\n" + doubling("$N", "$A"),
    "number for a name": doubling("1", "$1"),
    "number before text": doubling("1", "$1abc"),
    "letter beyond ASCII": doubling("é", "$é"),
    "letter and what only Python takes for one": doubling("A", "$A\u2167"),
    "sign for a name": doubling("?", "$?"),
    "braces with a sign": doubling("@", "${@}"),
    "the sign itself": doubling("$", "$$"),
    "default": doubling("A", "${A:-x}"),
    "all replaced": "FROM a\nENV A=xxxx\n" + "ENV A=${A//x/xxxxxxxx}\n" * 30,
    "all replaced by a variable": "FROM a\nENV A=xxxx\n" + "ENV A=${A//x/$A}\n" * 12,
    "replaced by what is quoted": "FROM a\nENV A=xxxx\n" + "ENV A=${A//x/\\}xxxxxxxx}\n" * 30,
    "first ones replaced": "FROM a\nENV A=xxxx\n" + "ENV A=${A/x/$A$A}\n" * 30,
    "space beyond ASCII": "FROM a\nENV A=xxxxxxxx\n" + "ENV Z=1\u2003A=$A$A\n" * 30,
    "space beyond ASCII in a value": "FROM a\nENV A=1\u2003" + "x" * 200_000 + "\n" + "ENV A=$A$A\n" * 4,
    "spaces in a value": "FROM a\nENV A 1" + " " * 200_000 + "x\n" + "ENV A $A$A\n" * 4,
    "old form": "FROM a\nENV A xxxxxxxx\n" + "ENV A $A$A\n" * 30,
    "other escape": "# escape=`\nFROM a\nENV A=xxxxxxxx\n" + 'ENV B="C:\\" A=$A$A\n' * 30,
    "escaped by the other escape": "# escape=`\n" + doubling("A`1", "$A1"),
    "build argument": doubling("A", "$A", "ARG"),
    "instruction behind ONBUILD": doubling("A", "$A", "ONBUILD ENV"),
    "flag of RUN": doubling("A", "$A").replace("ENV A=$A$A\n" * 17, "")
    + "RUN --mount=type=bind,target="
    + "$A" * 99
    + " true\n",
    "flag of COPY": "FROM a\nENV A=" + "x" * 9000 + "\nCOPY --chown=" + "$A" * 99 + " a b\n",
    "a keyword with a comment in it": "FROM a\nENV A=xxxxxxxx\n" + "E\\\n# c\n\nNV A=$A$A\n" * 30,
    "a continued line behind a wide blank": "FROM a\nENV A=xxxxxxxx\n" + "ENV \\\n\u2003\nA=$A$A\n" * 30,
    "here-document": "FROM a\nENV A=" + "x" * 9000 + "\nCOPY <<EOF /x\n" + "$A\n" * 1900 + "EOF\n",
    "here-document that ends late": LONG + "COPY <<EOF /x\n\tEOF\nRUN " + "$A" * 1900 + "\nEOF\n",
    "here-document behind a space beyond ASCII": LONG + "COPY a\u2003<<EOF /x\n" + "# $A\n" * 1900 + "EOF\n",
    "here-document in what looks like one": LONG + "RUN ${Z:-x <<E }\nCOPY <<F /x\n" + "# $A\n" * 1900 + "F\nE\n",
    "old form behind dashes": SHORT + "ENV -- A $A$A\n" * 30,
    "directive behind one that nobody knows": "# foo=bar\n# escape=`\n" + SHORT + "RUN x `\nENV A=$A$A\n" * 30,
    "blanks in lines of their own": "FROM a\nENV A=xxxxxxxx\n" + "ENV\\\n \\\nA=$A$A\n" * 60,
    "a wide blank before the keyword": SHORT + ("\xa0" * 41 + "ENV A=$A$A\n") * 60,
    "a wide blank behind ONBUILD": SHORT + "ONBUILD \xa0ENV A=$A$A\n" + "FROM s\n" * 40,
    "two escapes at the end": SHORT + "RUN x \\\\\nENV A=$A$A\n" * 30,
    "two carriage returns": SHORT + "RUN x \\\r\r\nENV A=$A$A\n" * 30,
    "all lines joined for one builder": SHORT + "ENV A=$A$A`\n" * 30,
    "a blank line that is none": SHORT + "RUN x \\\n\x1c\nENV A=$A$A\n" * 30,
    "a comment that is none": SHORT + "ENV B=1 \\\n\x1c#=1 A=$A$A\n" * 30,
    "a keyword in two lines": SHORT + "EN\\\nV A=$A$A\n" * 30,
    "flag with an escape": LONG + "COPY --chown=" + "$\\A" * 99 + " a b\n",
    "flag with quotes": LONG + "COPY --chown=" + "$'A'" * 99 + " a b\n",
    "flag of RUN with an escape": LONG + "RUN --mount=type=bind,target=" + "$\\A" * 99 + " true\n",
    "flag of RUN with a space": LONG + "RUN --mount type=bind,target=" + "$A" * 99 + " true\n",
    "JSON": LONG + 'COPY ["' + "\\u0024A" * 99 + '", "/x"]\n',
    "ONBUILD before the value": "FROM a AS s\nONBUILD ENV B=" + "$A" * 200 + "\nENV A=" + "x" * 9000 + "\nFROM s\n",
    "ONBUILD again and again": "FROM a AS s\nENV A=xxxxxxxx\nONBUILD ENV A=$A$A\n"
    + "".join(f"FROM s AS s{n}\n" for n in range(30)),
    "what an old builder takes for instructions": "FROM a\nENV A=xxxxxxxx\nCOPY <<EOF /x\n" + "ENV A=$A$A\n" * 30 + "EOF\n",
}


@pytest.mark.parametrize("text", EVASIONS.values(), ids=EVASIONS)
def test_no_odd_spelling_hides_growth(text: str) -> None:
    with pytest.raises(BuildFailed, match=r"with its variables filled in|expected UTF-8 with plain spaces"):
        base_images(text, {})


ORDINARY = {
    "parts of a version": "ARG V=1.2.3\nFROM a\nARG V\nENV M=${V%.*} N=${V##*.} D=${V//./-}\nENV E=${D//-/_}\n",
    "a long RUN": LONG + "RUN --mount=type=cache,target=/c " + 'echo "$A$A$A" && ' * 20_000 + "true\n",
    "env in a RUN": SHORT + "RUN set -eux; \\\n" + '  env B="$A" C="$B$A" make; \\\n' * 5 + "  true\n",
    "lines with comments and blanks": "FROM a\n" + ("RUN x \\\n# why $A\n\n  && y\nENV P=$P:/x \\\n  Q=$P\n") * 12,
    "the old form": "FROM a\n" + "".join(f"ENV P{n} /opt/p{n}\nENV PATH $PATH:$P{n}/bin:$P{n - 1}/sbin\n" for n in range(60)),
    "addresses": "FROM a\n" + "".join(f'ENV U{n}="http://h/?a=$U{n - 1}&b=$V"\n' for n in range(60)),
    "ONBUILD": "FROM a AS s\nONBUILD ENV PATH=$PATH:/x\n" + "FROM s\nRUN x\n" * 20,
    "a long LABEL": "FROM a\nLABEL text=" + "x" * 400_000 + "\n",
    "many quoted": "FROM a\n" + "".join(f'ENV P{n}="/opt/p{n}" PATH="$P{n - 1}/bin:$PATH"\n' for n in range(50)),
    "a here-document that is a script": "FROM a\nENV A=/opt\nRUN <<EOF\n" + 'export B="$A:$A:$B"\n' * 500 + "EOF\n",
    "a password with signs": "FROM a\nENV A='^$' B='$'\n" * 20,
    "words in another alphabet": "FROM a\nENV 이름=값\n" + "LABEL 설명=$이름값\n" * 30,
}


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_what_people_write_is_no_fault(text: str) -> None:
    assert base_images(text, {})[0] == "a"


def test_ordinary_growth_is_no_fault() -> None:
    path = "".join(f"ENV PATH=$PATH:/opt/tool{n}/bin A{n}=${{A{n - 1}}}\n" for n in range(1, 200))
    assert base_images("ARG V=3\nFROM a:$V\nENV LONG=" + "x" * 100_000 + "\n" + path, {}) == ("a:3",)


def test_the_engine_is_not_asked_about_thousands_of_images() -> None:
    with pytest.raises(BuildFailed, match="line 201 of the Dockerfile: expected at most 200 images"):
        base_images("".join(f"FROM a:{n}\n" for n in range(4000)), {})
    assert len(base_images("".join(f"FROM a:{n}\n" for n in range(MOST_IMAGES)), {})) == MOST_IMAGES


@given(st.text(alphabet=st.sampled_from("FROMrun \t\\\"'#=<>-$a{}:\n\r`"), max_size=80), st.dictionaries(st.text(), st.text()))
def test_no_text_is_too_strange(text: str, args: dict[str, str]) -> None:
    with contextlib.suppress(BuildFailed):
        base_images(text, args)
        assert all(0 < instruction.line <= len(text.split("\n")) for instruction in parse(text))
        list(beyond_classic(text, args))
    syntax_image(text)


def test_flags_are_ascii() -> None:
    with pytest.raises(BuildFailed, match="line 2 of the Dockerfile: expected ASCII in the flags of COPY"):
        base_images("FROM a\nCOPY --chown=\u00e0--from=b /a /b", {})
