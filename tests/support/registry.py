"""A real registry (Docker's own, Debian package docker-registry) on loopback; engines allow plain HTTP to 127.0.0.0/8."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.net import DIES_WITH_US, free_port, listens, wait_until
from tests.support.tokens import ISSUER, SERVICE, TokenServer

MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"

CONFIG = """\
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {directory}/storage }}, delete: {{ enabled: false }} }}
http: {{ addr: "{host}" }}
"""

PROGRAM = os.environ.get("GITDEPLOY_REGISTRY_BIN") or "docker-registry"
"""Debian's is version 2.8; `registry` of 3.x takes the same configuration. It deletes nothing, for gitdeploy asks nobody to."""

TOKENS = """\
auth: {{ token: {{ realm: "{realm}", service: {service}, issuer: {issuer}, rootcertbundle: {directory}/token.pem }} }}
"""

HTPASSWD = "auth: {{ htpasswd: {{ realm: tests, path: {directory}/htpasswd }} }}\n"


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes:
        host: "ADDRESS:PORT", the first part of its image references.
        user: "" without authentication.
    """

    host: str
    directory: Path
    user: str = ""
    password: str = ""

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, sorted; [] if there is none of that name."""
        try:
            _, body = self._get(f"{repository}/tags/list")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return sorted(json.loads(body)["tags"] or [])

    def digest(self, repository: str, tag: str) -> str:
        """The digest of a tag's manifest, "sha256:…"; raises urllib.error.HTTPError 404 if there is none."""
        digest, _ = self._get(f"{repository}/manifests/{tag}")
        return digest

    def docker_config(self) -> str:
        """A config.json that logs in to this registry."""
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return json.dumps({"auths": {self.host: {"auth": login}}})

    def _get(self, path: str) -> tuple[str, bytes]:
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", headers={"Accept": MANIFESTS})
        if self.user:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers.get("Docker-Content-Digest", ""), answer.read()


@contextlib.contextmanager
def serve(
    directory: Path, user: str = "", password: str = "", tokens: TokenServer | None = None, address: str = "127.0.0.1"
) -> Iterator[Registry]:
    """Runs a registry that stores in `directory` until the context ends, at an address of this process's network.

    It wants `user` to log in if one is given, or a token of `tokens`.
    """
    registry = Registry(f"{address}:{free_port()}", directory, user, password)
    config = CONFIG.format(directory=directory, host=registry.host)
    if tokens:
        config += TOKENS.format(directory=tokens.directory, realm=tokens.url, service=SERVICE, issuer=ISSUER)
    elif user:
        config += HTPASSWD.format(directory=directory)
        (directory / "htpasswd").write_text(f"{user}:{_bcrypt(password)}\n")
    (directory / "config.yml").write_text(config)
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [*DIES_WITH_US, PROGRAM, "serve", str(directory / "config.yml")],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},  # 3.x looks for a collector of traces
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: listens(int(registry.host.partition(":")[2]), address), 20, f"the registry at {registry.host}")
        yield registry
    finally:
        process.terminate()
        process.wait()


def _bcrypt(password: str) -> str:
    """The only hash the registry takes; libcrypt's, since Python's standard library has none that it will keep."""
    script = "print(crypt($ARGV[0], '$2y$05$abcdefghijklmnopqrstuu'))"
    return subprocess.run(["perl", "-e", script, password], check=True, capture_output=True, text=True).stdout
