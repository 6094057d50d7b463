"""Where the statements of a TOML text stand."""

from __future__ import annotations

from gitdeploy.config.scan import statements


def test_statements_are_found_where_they_stand() -> None:
    text = 'a.b = 1 # c\n\n[x . "y.z"] # d\n"q" = """\nr = 1""""\n[[l]]\ns = {t = [1,\n2]}'
    found = [(s.path, text[s.value], text[s.start : s.end]) for s in statements(text)]
    assert found == [
        (("a", "b"), "1", "a.b = 1 # c\n"),
        (("x", "y.z"), "", '[x . "y.z"] # d\n'),
        (("x", "y.z", "q"), '"""\nr = 1""""', '"q" = """\nr = 1""""\n'),
        (("l",), "", "[[l]]\n"),
        (("l", "s"), "{t = [1,\n2]}", "s = {t = [1,\n2]}"),
    ]
