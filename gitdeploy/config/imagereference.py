"""Image references, "DOMAIN/PATH:TAG@DIGEST", read by one grammar wherever gitdeploy meets one. Pure.

Grammar and defaults: github.com/distribution/reference (regexp.go, normalize.go), which every engine and registry goes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitdeploy.config.hosts import host_key

HUB = "docker.io"
OFFICIAL = "library/"
"""Where Docker Hub keeps what is named without an owner."""

HUB_HOSTS = (HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
"""Spellings of Docker Hub: the first two are an engine's own, the third is whom it asks, the last an old name."""

OWN = "gitdeploy.local"
"""In place of a registry in the names that gitdeploy gives to images itself (see `imagenames`)."""

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_NAMED_HOST = rf"(?:localhost|{_LABEL}(?:\.{_LABEL})+|{_LABEL}(?=:)|\[[0-9a-fA-F:]+\])"
_PORT = r"0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST = rf"{_NAMED_HOST}(?::{_PORT})?"
REPOSITORY = rf"(?:{_HOST}/)?{COMPONENT}(?:/{COMPONENT})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"sha256:[0-9a-f]{64}"

MAX_LENGTH = 600
"""More than the longest name, tag and digest together."""

_ID = re.compile(rf"{DIGEST}|[0-9a-f]{{64}}")
_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_HOST})/)?(?P<path>{COMPONENT}(?:/{COMPONENT})*)(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?"
)


@dataclass(frozen=True)
class Reference:
    """An image reference in its parts.

    Attributes:
        domain: the registry as written, "" where none is named.
        path: the repository within it, as written.
        tag: "" for none.
        digest: "sha256:…", "" for none.
    """

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Registry and path, as written."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def key(self) -> str:
        """One spelling for all spellings of a repository: "nginx" and "index.docker.io/library/nginx" are the same."""
        domain = _domain_key(self.domain or HUB)
        if domain not in HUB_HOSTS:
            return f"{domain}/{self.path}"
        return f"{HUB}/{self.path}" if "/" in self.path else f"{HUB}/{OFFICIAL}{self.path}"


def parse(text: str) -> Reference | None:
    """Return the parts of a reference, None for what is none: the id of an image, too, though it has the form of one."""
    found = _REFERENCE.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if not found or _ID.fullmatch(text):
        return None
    return Reference(found["domain"] or "", found["path"], found["tag"] or "", found["digest"] or "")


def same_repository(one: str, other: str) -> bool:
    """Return whether two references are of one repository, whatever their spelling, tags and digests."""
    first, second = parse(one), parse(other)
    return first is not None and second is not None and first.key == second.key


def image_key(image: str) -> str:
    """`Reference.key` of a reference; of anything else, that itself."""
    found = parse(image)
    return found.key if found else image


def path_key(image: str) -> str:
    """Return what stands behind the registry in `image_key`, "" for what is no reference.

    Two registries' names may lead to one registry, and nobody but its owner can tell: its address, a name in DNS, a proxy.
    """
    found = parse(image)
    return found.key.partition("/")[2] if found else ""


def is_in(image: str, domain: str) -> bool:
    """Return whether a reference is in the registry of that host, however it is spelled and on whatever port."""
    return re.fullmatch(rf"{re.escape(domain)}(?::[0-9]*)?/.*", image, re.IGNORECASE) is not None


def split(ref: str) -> tuple[str, str]:
    """Repository and tag or digest: ("127.0.0.1:5000/dev-app", "1.0"); the tag is "latest" where none is given."""
    found = parse(ref)
    return (found.repository, found.digest or found.tag or "latest") if found else (ref, "latest")


def registry(ref: str) -> str:
    """Return the registry's host: "127.0.0.1:5000" of "127.0.0.1:5000/dev-app:1.0", "docker.io" where none is named."""
    found = parse(ref)
    return (found.domain if found else "") or HUB


def _domain_key(domain: str) -> str:
    host, _, port = domain.rpartition(":")
    if not port.isdigit():
        return host_key(domain)
    return host_key(host) + (f":{int(port)}" if int(port) != 443 else "")
