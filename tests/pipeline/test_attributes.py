"""Which attributes a build context leaves out is found in a file as gitattributes(5) has it."""

from __future__ import annotations

import pytest

from gitdeploy.pipeline.attributes import not_applied


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("* text=auto\n*.sh text eol=lf\n*.png binary\n*.bin filter=lfs diff=lfs merge=lfs -text\n", ()),
        ("*.bat text eol=crlf\n*.cmd eol=crlf\n", ("eol=crlf",)),
        ("*.c ident\n*.txt working-tree-encoding=UTF-16LE-BOM text\n", ("ident", "working-tree-encoding=UTF-16LE-BOM")),
        ("*.enc filter=git-crypt diff=git-crypt\n", ("filter=git-crypt",)),
        ("# *.bat eol=crlf\n*.c -ident\n*.d !ident\nident.txt text\n", ()),
        ("\ufeff*.bat\teol=crlf\r\n", ("eol=crlf",)),
    ],
)
def test_what_is_not_applied(text: str, expected: tuple[str, ...]) -> None:
    assert not_applied(text.encode()) == expected
