"""Editing config.toml: the value changes, everything else stays as a person wrote it."""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.edit import rename_app, set_app
from gitdeploy.errors import ConfigError

APP = "devops/dev-app"


def test_a_file_that_is_not_there_yet() -> None:
    assert set_app("", "DevOps/Dev-App", {"image": "6ain/dev-app", "publish": ["8080:80"], "push.enabled": False}) == (
        '[apps."devops/dev-app"]\nimage = "6ain/dev-app"\npublish = ["8080:80"]\npush.enabled = false\n'
    )


def test_no_values_make_an_empty_table() -> None:
    assert set_app("", APP, {}) == '[apps."devops/dev-app"]\n'
    assert set_app('[apps."DevOps/Dev-App"] # mine', APP, {}) == '[apps."DevOps/Dev-App"] # mine'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[apps."o/r"]\nimage = "o/r" # o/r\n', '[apps."o/s"]\nimage = "o/r" # o/r\n'),
        (
            "# [apps.'O/R']\n[apps.'O/R']\n[apps.'O/R'.build] # x\npull = true\n",
            '# [apps.\'O/R\']\n[apps."o/s"]\n[apps."o/s".build] # x\npull = true\n',
        ),
        ('apps."o/r".image = "x"\napps."o/r2".image = "o/r"\n', 'apps."o/s".image = "x"\napps."o/r2".image = "o/r"\n'),
        (
            '[apps]\n"o/r".image = "x"\n"o/r".env = { "o/r" = "y" }\n',
            '[apps]\n"o/s".image = "x"\n"o/s".env = { "o/r" = "y" }\n',
        ),
        ('[apps."o/r"]\r\nenv.A = """\r\n[apps."o/r"]"""\r\n', '[apps."o/s"]\r\nenv.A = """\r\n[apps."o/r"]"""\r\n'),
    ],
)
def test_a_table_gets_another_name_and_nothing_else(before: str, after: str) -> None:
    assert rename_app(before, "o/r", "o/s") == after


@pytest.mark.parametrize("text", ['apps = { "o/r" = { image = "x" } }', '[apps."o\\u002fr"]\nimage = "x"'])
def test_a_table_that_cannot_be_renamed(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be renamed without rewriting") as caught:
        rename_app(text, "o/r", "o/s")
    assert caught.value.hint == "change it by hand"


TRICKY = (
    r"""
env.A = 'x = 1 # ]'
env.B = "\"]\\" # c
env.C = '''a'''''
env."a=b].c" = '#'
"""
    + 'env.D = """\n[x]\n# no = "comment"\n"""\n'
)

EDITS = {
    "a value is replaced where it stands": (
        '# top\n[apps."devops/dev-app"]  # ours\nimage   = "old"   # why\n\n# next\n[apps."x/y"]\nimage = "z"\n',
        {"image": "new"},
        '# top\n[apps."devops/dev-app"]  # ours\nimage   = "new"   # why\n\n# next\n[apps."x/y"]\nimage = "z"\n',
    ),
    "a new key comes after the table's last": (
        '[apps."devops/dev-app"]\n  image = "x"  # c\n\n# about y\n[apps."x/y"]\n',
        {"strategy": "rolling"},
        '[apps."devops/dev-app"]\n  image = "x"  # c\n  strategy = "rolling"\n\n# about y\n[apps."x/y"]\n',
    ),
    "an empty table": (
        '[apps."devops/dev-app"]\n[server]\nhost = "x"\n',
        {"image": "new"},
        '[apps."devops/dev-app"]\nimage = "new"\n[server]\nhost = "x"\n',
    ),
    "a new app comes last": (
        '[server]\nhost = "x"\n# the end\n',
        {"image": "new"},
        '[server]\nhost = "x"\n# the end\n\n[apps."devops/dev-app"]\nimage = "new"\n',
    ),
    "no newline at the end": (
        '[apps."devops/dev-app"]\nimage = "x"',
        {"strategy": "rolling"},
        '[apps."devops/dev-app"]\nimage = "x"\nstrategy = "rolling"\n',
    ),
    "no newline at the end, a new app": ("[server]", {"image": "new"}, '[server]\n\n[apps."devops/dev-app"]\nimage = "new"\n'),
    "line ends of Windows": (
        '[apps."devops/dev-app"]\r\nimage = "x"\r\n',
        {"image": "new", "replicas": 2},
        '[apps."devops/dev-app"]\r\nimage = "new"\r\nreplicas = 2\r\n',
    ),
    "a byte order mark": (
        '\ufeff[apps."devops/dev-app"]\n',
        {"image": "new"},
        '\ufeff[apps."devops/dev-app"]\nimage = "new"\n',
    ),
    "other spellings of the table": (
        "[ apps . 'DevOps/Dev-App' ]\n'image' = 'x'\n",
        {"image": "new"},
        "[ apps . 'DevOps/Dev-App' ]\n'image' = \"new\"\n",
    ),
    "a table of its own": (
        '[apps."devops/dev-app".push]\ntags = ["latest"] # t\n[apps."devops/dev-app"]\nimage = "x"\n',
        {"push.enabled": False, "push.tags": ["a"]},
        '[apps."devops/dev-app".push]\ntags = ["a"] # t\nenabled = false\n[apps."devops/dev-app"]\nimage = "x"\n',
    ),
    "only a table below": (
        '[apps."devops/dev-app".push]\nenabled = false\n',
        {"image": "new"},
        '[apps."devops/dev-app".push]\nenabled = false\n\n[apps."devops/dev-app"]\nimage = "new"\n',
    ),
    "dotted keys of something else": (
        'server.host = "h"\n[apps."devops/dev-app".push]\nenabled = false\n',
        {"image": "new"},
        'server.host = "h"\n[apps."devops/dev-app".push]\nenabled = false\n\n[apps."devops/dev-app"]\nimage = "new"\n',
    ),
    "an inline table": (
        '[apps."devops/dev-app"]\npush = { enabled = true, tags = ["a"] } # p\n',
        {"push.enabled": False},
        '[apps."devops/dev-app"]\npush = { enabled = false, tags = ["a"] } # p\n',
    ),
    "an inline app": (
        '[apps]\n"devops/dev-app" = { image = "x" } # p\n"x/y" = {}\n',
        {"image": "new", "publish": ["1:1"]},
        '[apps]\n"devops/dev-app" = { image = "new", publish = ["1:1"] } # p\n"x/y" = {}\n',
    ),
    "an empty inline app": (
        'apps = { "devops/dev-app" = {} }',
        {"replicas": 2},
        'apps = { "devops/dev-app" = { replicas = 2 } }',
    ),
    "all apps inline": ("apps = {} # none\n", {"image": "new"}, 'apps = { "devops/dev-app" = { image = "new" } } # none\n'),
    "dotted keys at the top": (
        'apps."devops/dev-app".image = "x"\n[server]\n',
        {"strategy": "rolling", "push.enabled": False},
        'apps."devops/dev-app".image = "x"\napps."devops/dev-app".strategy = "rolling"\n'
        'apps."devops/dev-app".push.enabled = false\n[server]\n',
    ),
    "dotted keys in apps": (
        '[apps]\n"devops/dev-app".image = "x"\n"x/y".image = "z"\n',
        {"strategy": "rolling"},
        '[apps]\n"devops/dev-app".image = "x"\n"devops/dev-app".strategy = "rolling"\n"x/y".image = "z"\n',
    ),
    "values over several lines": (
        '[apps."devops/dev-app"]\npublish = [\n  "1:1", # one ]\n  "2:2",\n] # ports\n' + TRICKY + 'image = "x"\n',
        {"publish": ["3:3"], "image": "new"},
        '[apps."devops/dev-app"]\npublish = ["3:3"] # ports\n' + TRICKY + 'image = "new"\n',
    ),
    "names in a table, those that are there stay": (
        '[apps."devops/dev-app"]\nenv = { A = "1" }\n',
        {"env": {"B": "2", "A": "3"}},
        '[apps."devops/dev-app"]\nenv = { A = "3", B = "2" }\n',
    ),
    "names in a table that is not there": (
        '[apps."devops/dev-app"]\n',
        {"env": {"A": "1", "b.c": "2"}},
        '[apps."devops/dev-app"]\nenv = { A = "1", "b.c" = "2" }\n',
    ),
    "another app's keys are another app's": (
        '[apps."devops/dev-app2"]\nimage = "x"\n[apps."devops/dev-app"]\n',
        {"image": "new"},
        '[apps."devops/dev-app2"]\nimage = "x"\n[apps."devops/dev-app"]\nimage = "new"\n',
    ),
}


@pytest.mark.parametrize(("before", "values", "after"), EDITS.values(), ids=EDITS.keys())
def test_edits(before: str, values: dict[str, object], after: str) -> None:
    assert after == set_app(before, APP, values)
    assert after == set_app(after, APP, values), "a second time changes nothing"


def test_equal_values_leave_their_spelling() -> None:
    text = "[apps.'devops/dev-app']\npublish = [ '8080:80', # web\n]\nreplicas = 0x2\npush.enabled=true"
    assert text == set_app(text, APP, {"publish": ["8080:80"], "replicas": 2, "push.enabled": True})


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ("a = [", {}, "config.toml: not valid TOML: Invalid value (at end of document)"),
        (
            "",
            {"imaeg": "x"},
            'config.toml: apps."devops/dev-app".imaeg: unknown key; did you mean apps."devops/dev-app".image?',
        ),
        ("", {"replicas": "2"}, 'config.toml: apps."devops/dev-app".replicas: expected an integer from 1 to 32, found "2"'),
        ("", {"env": {"A": ["s3cret"]}}, 'config.toml: apps."devops/dev-app".env.A: expected a string, found an array'),
        ("apps = 1", {"image": "x"}, 'config.toml: apps."devops/dev-app": cannot be set without rewriting what stands there'),
        ("[[apps]]", {"image": "x"}, 'config.toml: apps."devops/dev-app": cannot be set without rewriting what stands there'),
        (
            '[apps."devops/dev-app"]\nrouter = "external"',
            {"router.mode": "tcp"},
            'config.toml: apps."devops/dev-app".router.mode: cannot be set without rewriting what stands there',
        ),
    ],
)
def test_what_cannot_be_edited(text: str, values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_app(text, APP, values)
    assert [problem] == list(caught.value.problems)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r'apps."../x": expected "owner/repo"'):
        set_app("", "../x", {})


# Documents in all styles: the blocks of the apps in any order, then comments between any two lines
STYLES = [
    '[apps."{name}"]\nimage = "i"\npublish = ["1:1"]\n[apps."{name}".push]\nenabled = true\n',
    '[apps."{name}".push]\nenabled = true\n[apps."{name}"]\n',
    "[ apps.'{name}' ]\nenv = {{ A = '1' }}\npush.tags = ['a']\n",
    '[apps."{name}".build.args]\nX = "]"\n',
    '[apps."{name}".env]\nA = "[apps] = 1"\n',
]
ROOTS = [
    "",
    'apps."{name}".image = "i"\napps."{name}".push.enabled = true\n',
    'apps."{name}" = {{ image = "i", env = {{ A = "1" }} }}\n',
]
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["i", "a/b"]),
        "publish": st.lists(st.sampled_from(["1:1", "2:2"]), unique=True),
        "push.enabled": st.booleans(),
        "push.tags": st.just(["{version}"]),
        "env": st.dictionaries(
            st.sampled_from(["A", "B", "c.d"]), st.text(st.characters(categories=["L", "P", "Zs", "S"]), max_size=5)
        ),
        "build.args": st.just({"X": "#"}),
        "replicas": st.integers(1, 5),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A valid text with a comment "# cN" here and there."""
    text = draw(st.sampled_from(ROOTS)).format(name="o/root")
    text += "[server]\nhost = 'h'\n" if draw(st.booleans()) else ""
    for name in draw(st.lists(st.sampled_from(["o/one", "O/Two", "o/three"]), unique=True)):
        text += draw(st.sampled_from(STYLES)).format(name=name)
    lines = text.splitlines()
    for number in range(draw(st.integers(0, 4))):
        lines.insert(draw(st.integers(0, len(lines))), f"# c{number}")
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(lines) + (newline if draw(st.booleans()) else "")


@given(documents(), st.sampled_from(["o/one", "o/two", "o/three", "o/root", "o/new"]), CHANGES)
def test_nothing_but_the_values_changes(before: str, name: str, values: dict[str, Any]) -> None:
    after = set_app(before, name, values)
    wanted = copy.deepcopy(tomllib.loads(before))
    apps = wanted.setdefault("apps", {})
    app = apps.setdefault(next((written for written in apps if written.lower() == name), name), {})
    for path, value in values.items():
        section, _, leaf = path.rpartition(".")
        table = app.setdefault(section, {}) if section else app
        table[leaf] = {**table.get(leaf, {}), **value} if isinstance(value, dict) else value
    assert wanted == tomllib.loads(after)
    assert comments(before) == comments(after)
    assert ("\r\n" in before) <= ("\n" not in after.replace("\r\n", ""))


def comments(text: str) -> list[str]:
    return re.findall(r"# c\d", text)
