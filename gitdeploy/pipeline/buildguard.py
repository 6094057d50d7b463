"""What a Dockerfile out of a pushed tree may take: frontends and base images. Pure.

Whoever pushes writes the Dockerfile. A frontend is a program that the engine runs in place of its own reader of Dockerfiles: it
may mount any cache and any image on the engine, and asks for the build's secrets. And an image on the engine is taken for FROM
without asking anybody, though the registry would refuse it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from gitdeploy.config.hosts import LOCAL, host_key, is_link_local
from gitdeploy.config.imagereference import HUB, image_key, parse, path_key, registry
from gitdeploy.config.model import App
from gitdeploy.config.problems import quoted
from gitdeploy.engine.directives import frontends
from gitdeploy.engine.dockerfile import QUOTES
from gitdeploy.engine.groups import groups
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP

URL = re.compile(r"(https?|git|ssh)://([^\s/?#]*)|[\w.-]@([^\s:/@]*):", re.IGNORECASE)
"""Scheme and authority of an address; the host in the short form of ssh's, USER@HOST:PATH."""

LONGEST_AUTHORITY = 1000
"""Characters; a host's name has 253 at most."""

PORTS: Mapping[str, tuple[int, ...]] = {"": (443, 80), "http": (80,), "https": (443,)}
"""By scheme, "" for a registry that is named without a port."""


def check_frontends(text: str, app: App) -> None:
    """Raise StageFailed if the Dockerfile names a frontend that is not in build.frontends."""
    allowed = {image_key(image) for image in app.build.frontends}
    for line, image in frontends(text):
        if _key(image) not in allowed:
            reason = f"{app.build.dockerfile} line {line}: expected a frontend of build.frontends" + (
                f" ({', '.join(app.build.frontends)})" if app.build.frontends else " (none)"
            )
            raise StageFailed(
                f"{reason}, found {quoted(image) if image else 'one that cannot be read'}",
                f'take the line out, or let the server allow the image: build.frontends in [apps."{app.name}"] of config.toml',
            )


def check_base(image: str, labels: Mapping[str, str], app: App, others: Iterable[App]) -> None:
    """Raise StageFailed if an image that the Dockerfile builds on is another app's, and not in build.bases.

    What has the path of another app's image counts as that image in every registry, for a registry goes by many names.

    Args:
        image: as the Dockerfile names it.
        labels: those that it has on the engine; none if it is not there.
        others: all apps of this server but `app`.
    """
    key = _key(image)
    if key == image_key(app.image) or key in {image_key(base) for base in app.build.bases}:
        return
    path = path_key(image)
    other = next((other for other in others if path and path_key(other.image) == path), None)
    owner = other.name if other else labels.get(APP, app.name)
    if owner == app.name:
        return
    alias = other is not None and image_key(other.image) != key
    raise StageFailed(
        f"{app.build.dockerfile} takes {quoted(image, 255)}, which {'may be' if alias else 'is'} an image of the app "
        + quoted(owner)
        + (": it has the same path, and one registry goes by many names" if alias else ""),
        f'take another base image, or let the server allow it: build.bases in [apps."{app.name}"] of config.toml',
    )


def check_sources(text: str, app: App, apps: Iterable[App], source: str = "") -> None:
    """Raise StageFailed if an ADD of the Dockerfile loads from this machine, a link-local address or an app's registry.

    The engine loads what ADD names, from where it is itself. What a name leads to, what a server answers with another address
    and what variables stand for is not known here. Takes the Dockerfile, and what it is called if that is not the app's own.
    """
    registries = {place for each in apps if (domain := registry(each.image)) != HUB for place in _places(domain, "")}
    for line, addresses in _added(text):
        for scheme, authority in addresses:
            place = authority.rpartition("@")[2]
            host, _ = _host_and_port(place)
            local = host in ("", LOCAL) or is_link_local(host) or len(place) > LONGEST_AUTHORITY
            if local or not registries.isdisjoint(_places(place, scheme)):
                what = "this machine or its link" if local else "the registry of an app"
                raise StageFailed(
                    f"{source or app.build.dockerfile} line {line}: ADD may load nothing from {what}, "
                    f"found {quoted(f'{scheme}://{authority}', 255)}",
                    "put the file into the repository, or load it from another server",
                )


def _added(text: str) -> Iterator[tuple[int, Iterator[tuple[str, str]]]]:
    """Yield each line with which ADD may begin for some builder, from 1, and the addresses in what follows."""
    for group in groups(text):
        line = next((begin.line for begin in group.begins if begin.keyword == "ADD"), 0)
        if line:
            yield line, (found for joined in dict.fromkeys(group.joined(line)) for found in _addresses(joined))


def _addresses(text: str) -> Iterator[tuple[str, str]]:
    """Yield scheme and authority of the addresses in a text, whether it is read as JSON or as words of a shell."""
    # A comma between quotes ends a word in JSON that nobody can read, and none for a shell.
    readings = (text, re.sub(r'"\s*,\s*"', " ", text), *_json_words(text))
    for found in dict.fromkeys(match.groups() for each in readings for match in URL.finditer(QUOTES.sub("", each))):
        scheme, authority, host = found
        yield (scheme.lower(), authority) if scheme else ("ssh", host)


def _json_words(text: str) -> Iterator[str]:
    """Yield the words of a JSON list in an instruction, as builders read it: what stands behind it does not count."""
    start = text.find("[")
    if start >= 0:
        with suppress(ValueError, RecursionError):
            found, _ = json.JSONDecoder(strict=False).raw_decode(text, start)
            yield from (word for word in found if isinstance(word, str))


def _host_and_port(place: str) -> tuple[str, str]:
    """Return one spelling of a host, and its port, "" if it stands without one."""
    place = place[:LONGEST_AUTHORITY]
    name, colon, port = place.rpartition(":")
    if not colon or (port and not port.isdecimal()):
        name, port = place, ""
    bracketed = re.match(r"\[([^]%]*)", place)
    return host_key(bracketed[1] if bracketed else name), port


def _places(place: str, scheme: str) -> set[tuple[str, int]]:
    """Return the hosts and ports that a host with or without a port stands for."""
    host, port = _host_and_port(place)
    return {(host, number) for number in ([int(port[-9:])] if port else PORTS.get(scheme, ()))}


def _key(image: str) -> str:
    """Return one spelling for all of a repository's, "" for what is no name of an image."""
    found = parse(image)
    return found.key if found else ""
