"""The variables of a pipeline whose values stand in the Jenkinsfile. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitdeploy.jenkinsfile.groovy import Token, arguments, template

VERSION = "{version}"
"""Stands for what is read from the file VERSION; gitdeploy's own word for it."""

LONGEST = 1000
"""Characters of a value: values within values must not grow without end."""

KNOWN = {"VERSION": VERSION, "WORKSPACE": ".", "PWD": "."}

_REFERENCE = re.compile(r"\$\{([^{}\n]*)\}|\$((?:env\.|params\.)?[A-Za-z_]\w*)")
_NAME = re.compile(r"(?:env\.|params\.)?([A-Za-z_]\w*)")
_VERSION_FILE = re.compile(r"(?<![\w${.-])VERSION(?![\w}.-])")
_READERS = ("readFile", "sh")


def reads_version(text: str) -> bool:
    """Return whether the text speaks of the file VERSION, rather than of a variable of that name."""
    return _VERSION_FILE.search(text) is not None


class Parameters:
    """Values by name, and the names whose values are Jenkins' secrets.

    Attributes:
        secrets: name → id of Jenkins' credentials.
    """

    def __init__(self, values: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.secrets = secrets

    def resolve(self, text: str) -> str:
        """Return the text with known values filled in; what is not known stays as it is written, with its dollar sign."""
        return _REFERENCE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        inside = (match[1] if match[1] is not None else match[2]).strip()
        name = _NAME.fullmatch(inside)
        if name:
            return self._values.get(name[1], match[0])
        return VERSION if any(reader in inside for reader in _READERS) and reads_version(inside) else match[0]

    def with_values(self, values: Mapping[str, str]) -> Parameters:
        """Return the same with more values, as a shell script has its own."""
        return Parameters({**self._values, **values}, self.secrets)


def collect(found: Sequence[Token]) -> Parameters:
    """Return the variables of a pipeline, wherever they are set; a later value replaces an earlier one."""
    written: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for position, token in enumerate(found):
        following = found[position + 1] if position + 1 < len(found) else None
        if token.kind == "name" and following and following.kind == "mark" and following.text == "=":
            _assign(token.text.removeprefix("env."), found, position + 2, written, secrets)
        elif token.kind == "name" and token.text in ("string", "choice", "booleanParam", "usernamePassword", "file"):
            _bind(found, position, written, secrets)
    variables = Parameters(KNOWN, secrets)
    for _ in range(2):  # once more for what is set further down
        for name, value in written.items():
            resolved = variables.resolve(value)
            if len(resolved) <= LONGEST:
                variables = variables.with_values({name: resolved}) if resolved != f"${{{name}}}" else variables
    return variables


def _assign(name: str, found: Sequence[Token], start: int, written: dict[str, str], secrets: dict[str, str]) -> None:
    """Take NAME = EXPRESSION."""
    parsed, _ = arguments(found, start)
    expression = parsed.positional[0] if parsed.positional else []
    if expression and expression[0].text == "credentials" and expression[0].kind == "name":
        identity = next((token.text for token in expression if token.kind == "string"), "")
        secrets.update({name: identity, f"{name}_USR": identity, f"{name}_PSW": identity})
        return
    value = template(expression)
    reads = any(token.text.split(".")[0] in _READERS for token in expression if token.kind == "name")
    if value is None and reads and any(reads_version(token.text) for token in expression if token.kind == "string"):
        value = VERSION
    if value is not None:
        written[name] = value


def _bind(found: Sequence[Token], position: int, written: dict[str, str], secrets: dict[str, str]) -> None:
    """Take a binding of withCredentials, or the default of a parameter."""
    parsed, _ = arguments(found, position + 1)
    named = {name: template(expression) or "" for name, expression in parsed.named.items()}
    for key in ("variable", "usernameVariable", "passwordVariable"):
        if named.get(key) and "credentialsId" in named:
            secrets[named[key]] = named["credentialsId"]
    if named.get("name") and "defaultValue" in named:
        written.setdefault(named["name"], named["defaultValue"])
