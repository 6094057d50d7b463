"""What a Dockerfile out of a pushed tree may take: frontends and base images. Pure.

Whoever pushes writes the Dockerfile. A frontend is a program that the engine runs in place of its own reader of Dockerfiles: it
may mount any cache and any image on the engine, and asks for the build's secrets. And an image on the engine is taken for FROM
without asking anybody, though the registry would refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from gitdeploy.config.hosts import LOCAL, host_key, is_link_local
from gitdeploy.config.imagereference import HUB, image_key, parse, path_key, registry
from gitdeploy.config.model import App
from gitdeploy.config.problems import quoted
from gitdeploy.engine.directives import frontends
from gitdeploy.engine.groups import groups
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP

URL = re.compile(r"(?:https?|git|ssh)://\S*|[\w.-]+@[^\s:/]+:\S*", re.IGNORECASE)
"""Addresses, and the short form of ssh's: USER@HOST:PATH."""

JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
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
    for line, urls in _added(text):
        for url in urls:
            host = url.hostname or ""
            local = host_key(host) == LOCAL or is_link_local(host)
            if local or not registries.isdisjoint(_places(url.netloc.rpartition("@")[2], url.scheme)):
                what = "this machine or its link" if local else "the registry of an app"
                place = f"{source or app.build.dockerfile} line {line}"
                raise StageFailed(
                    f"{place}: ADD may load nothing from {what}, found {quoted(url.geturl(), 255)}",
                    "put the file into the repository, or load it from another server",
                )


def _added(text: str) -> Iterator[tuple[int, Iterator[SplitResult]]]:
    """Yield each line with which ADD may begin for some builder, from 1, and the addresses in what follows."""
    for group in groups(text):
        line = next((begin.line for begin in group.begins if begin.keyword == "ADD"), 0)
        if line:
            yield line, (url for joined in dict.fromkeys(group.joined(line)) for url in _urls(joined))


def _urls(text: str) -> Iterator[SplitResult]:
    """Yield the addresses in a text, as far as they can be read: without quotes, and USER@HOST:PATH as ssh://USER@HOST/PATH."""
    text = JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    # A comma between quotes ends a word in JSON, and none for a shell.
    words = (re.sub(r"[\"'\\`]", "", each) for each in (text, re.sub(r'"\s*,\s*"', " ", text)))
    for url in {url: None for plain in words for url in URL.findall(plain)}:
        with suppress(ValueError):  # no address to the engine, either
            yield urlsplit(url if "://" in url else "ssh://" + url.replace(":", "/", 1))


def _places(netloc: str, scheme: str) -> set[tuple[str, int]]:
    """Hosts and ports that stand for a host with or without a port."""
    netloc = netloc.removesuffix(":")
    host, _, port = netloc.rpartition(":")
    if port.isdecimal():
        return {(host_key(host), int(port[-9:]))}
    return {(host_key(netloc), number) for number in PORTS.get(scheme, ())}


def _key(image: str) -> str:
    """Return one spelling for all of a repository's, "" for what is no name of an image."""
    found = parse(image)
    return found.key if found else ""
