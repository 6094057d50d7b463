"""Engines' own words, as 20.10 and 28.5 (graph driver and containerd image store) say them, and what is made of them."""

from __future__ import annotations

import pytest

from gitdeploy.config.imagereference import registry, split
from gitdeploy.engine.diagnosis import container_failure, refused, registry_failure
from gitdeploy.errors import EngineError, NotFound

DIGEST = "sha256:" + "0123" * 16
REF = "127.0.0.1:5000/denied/dev-app:1.0"

LASTING = [
    "no basic auth credentials",
    "unauthorized: authentication required",
    "denied: requested access to the resource is denied",
    "push access denied, repository does not exist or may require authorization: authorization failed: no basic auth",
    "unknown: unexpected status from HEAD request to http://127.0.0.1:5000/v2/dev-app/blobs/sha256:42d1: 401 Unauthorized",
    "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value",
    "name unknown: The repository with name 'dev-app' does not exist in the registry",
    "name invalid: invalid repository name",
    "tag does not exist: 127.0.0.1:5000/denied/dev-app:1.0",
    "manifest for 127.0.0.1:5000/denied/dev-app:1.0 not found: manifest unknown: manifest unknown",
    'failed to resolve reference "127.0.0.1:5000/nosuch:x": 127.0.0.1:5000/nosuch:x: not found',
    'Get "https://127.0.0.1:5000/v2/": http: server gave HTTP response to HTTPS client',
    'Get "https://127.0.0.1:5000/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    "failed to register layer: write /big: no space left on device",
    "error parsing HTTP 413 response body: invalid character '<' looking for beginning of value",
    "something that nobody has seen yet",
]

PASSING = [
    'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
    'failed to do request: Head "https://127.0.0.1:5000/v2/denied/x": dial tcp 127.0.0.1:5000: connect: connection refused',
    'Put "http://127.0.0.1:5000/v2/denied/blobs/uploads/401": EOF',
    'Patch "http://127.0.0.1:5000/v2/dev-app/blobs/uploads/5": unexpected EOF',
    "received unexpected HTTP status: 503 Service Unavailable",
    "received unexpected HTTP status: 500 Internal Server Error",
    "unknown: unexpected status from POST request to http://127.0.0.1:5000/v2/not-found/: 502 Bad Gateway",
    "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value",
    "error parsing HTTP 504 response body: unexpected end of JSON input",
    "net/http: TLS handshake timeout",
    'Get "https://registry.example/v2/": net/http: request canceled (Client.Timeout exceeded while awaiting headers)',
    "dial tcp 203.0.113.1:443: i/o timeout",
    "context deadline exceeded",
    "read tcp 10.0.0.2:34567->10.0.0.3:443: read: connection reset by peer",
    "write tcp 10.0.0.2:34567->10.0.0.3:443: write: broken pipe",
    "dial tcp: lookup registry.example on 127.0.0.53:53: no such host",
    "dial tcp: lookup registry.example: Temporary failure in name resolution",
    "dial tcp 203.0.113.1:443: connect: no route to host",
    "toomanyrequests: Rate exceeded",
    "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading",
    "received unexpected HTTP status: 429",
    "blob upload unknown",
]


@pytest.mark.parametrize("message", LASTING)
def test_what_will_not_pass(message: str) -> None:
    error = registry_failure(message, REF, "")
    assert error.transient is False
    assert error.reason == f"{REF}: {message}"


@pytest.mark.parametrize("message", PASSING)
def test_what_may_pass(message: str) -> None:
    assert registry_failure(message, REF, "").transient is True


@pytest.mark.parametrize(
    ("message", "user", "hint"),
    [
        (LASTING[0], "", "run `docker login 127.0.0.1:5000` as the user that runs gitdeploy"),
        (LASTING[1], "alice", 'check the password of "alice" at 127.0.0.1:5000'),
        (LASTING[4], "alice", "this user may use 127.0.0.1:5000/denied/dev-app"),
        (LASTING[11], "", '{"insecure-registries": ["127.0.0.1:5000"]}'),
        (LASTING[12], "", "/etc/docker/certs.d/127.0.0.1:5000/ca.crt"),
        (LASTING[13], "", "docker system df"),
        (PASSING[0], "", "check the registry's address, 127.0.0.1:5000"),
        (PASSING[-3], "", "limits how often it is asked: wait a while, or `docker login 127.0.0.1:5000`"),
        (PASSING[-3], "alice", "limits how often it is asked: wait a while"),
        (PASSING[-2], "alice", "limits how often it is asked: wait a while"),
    ],
)
def test_what_to_do(message: str, user: str, hint: str) -> None:
    assert hint in registry_failure(message, REF, user).hint


def test_the_repository_s_name_decides_nothing() -> None:
    ref = "127.0.0.1:5000/unauthorized/connection-refused:eof"
    assert registry_failure(f"tag does not exist: {ref}", ref, "").transient is False
    assert registry_failure('Get "http://127.0.0.1:5000/v2/unauthorized/": EOF', ref, "").transient is True


BEFORE = "driver failed programming external connectivity on endpoint dev-app (0123abcd): "
CONTAINER = "is already taken by another container"
PROGRAM = "is already in use by a program outside this engine"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Bind for 0.0.0.0:8080 failed: port is already allocated", f"host port 8080 {CONTAINER}"),
        ("Bind for 127.0.0.1:8080 failed: port is already allocated", f"host port 8080 {CONTAINER} on 127.0.0.1"),
        ("Bind for :::8080 failed: port is already allocated", f"host port 8080 {CONTAINER}"),
        (
            "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
            f"host port 8080 {PROGRAM}",
        ),
        ("Error starting userland proxy: listen udp4 127.0.0.1:53: bind: address already in use", f"host port 53 {PROGRAM} on"),
        ("failed to bind host port for 0.0.0.0:8080:10.0.0.2:80/tcp: address already in use", f"host port 8080 {PROGRAM}"),
        (
            "failed to bind host port for [::1]:8080:10.0.0.2:80/tcp: address already in use",
            f"host port 8080 {PROGRAM} on [::1]",
        ),
        ("failed to bind host port 0.0.0.0:8080/tcp: address already in use", f"host port 8080 {PROGRAM}"),
    ],
)
def test_a_taken_port_is_named(message: str, reason: str) -> None:
    for text in (BEFORE + message, f"failed to set up container networking: {BEFORE}{message}"):
        error = container_failure(EngineError(text, 500))
        assert error.reason.startswith(reason)
        assert error.status == 500
        assert "publish another port" in error.hint


def test_other_failures_of_a_start_stay_as_they_are() -> None:
    error = EngineError("something that nobody has seen yet", 500)
    assert container_failure(error) is error


def test_refusals() -> None:
    assert isinstance(refused(404, "No such container: x"), NotFound)
    full = refused(500, "mkdir /var/lib/docker/tmp/x: no space left on device")
    assert (type(full), full.status) == (EngineError, 500)
    assert "free disk space" in full.hint


@pytest.mark.parametrize(
    ("ref", "parts", "host"),
    [
        ("6ain/dev-app", ("6ain/dev-app", "latest"), "docker.io"),
        ("6ain/dev-app:1.0", ("6ain/dev-app", "1.0"), "docker.io"),
        ("debian", ("debian", "latest"), "docker.io"),
        ("127.0.0.1:5000/dev-app", ("127.0.0.1:5000/dev-app", "latest"), "127.0.0.1:5000"),
        ("127.0.0.1:5000/dev-app:1.0", ("127.0.0.1:5000/dev-app", "1.0"), "127.0.0.1:5000"),
        ("localhost/dev-app:1.0", ("localhost/dev-app", "1.0"), "localhost"),
        (f"ghcr.io/o/app@{DIGEST}", ("ghcr.io/o/app", DIGEST), "ghcr.io"),
        (f"ghcr.io/o/app:1.0@{DIGEST}", ("ghcr.io/o/app", DIGEST), "ghcr.io"),
    ],
)
def test_references(ref: str, parts: tuple[str, str], host: str) -> None:
    assert split(ref) == parts
    assert registry(ref) == host


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("unable to find user app: no matching entries in passwd file", "the image's USER"),
        ("linux spec user: unable to find group web: no matching entries in group file", "the image's USER"),
        ("No command specified", "add CMD or ENTRYPOINT"),
        ("no command specified", "add CMD or ENTRYPOINT"),
        ('OCI runtime create failed: exec: "serve": executable file not found in $PATH: unknown', "not in its PATH"),
        (
            'failed to create task: exec: "/x": stat /x: no such file or directory: unknown',
            "a program that is not",
        ),
        ('runc create failed: exec: "/bin/sh": stat /bin/sh: no such file or directory', "the image has no shell"),  # 28.5
        ('error during container init: exec: "/bin/bash": stat /bin/bash: no such file or directory', "no shell"),  # 29.9
        ("exec /app: no such file or directory", "a library loader"),
        ("standard_init_linux.go:228: exec user process caused: exec format error", "another processor"),
    ],
)
def test_an_image_that_cannot_be_run(reason: str, hint: str) -> None:
    error = container_failure(EngineError(reason, 400))
    assert (error.reason, error.status) == (reason, 400)
    assert hint in error.hint
