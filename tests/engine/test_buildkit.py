"""What only BuildKit does, on a real engine."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gitdeploy.engine import solveanswer as module
from gitdeploy.engine.buildkit import query
from gitdeploy.engine.lines import LONGEST
from gitdeploy.engine.progress import Failure
from gitdeploy.engine.solveanswer import failed
from gitdeploy.engine.types import BuildRequest
from gitdeploy.errors import BuildFailed, RegistryError
from tests.support.builder import Builder, running
from tests.support.registry import Registry

SECRET = "s3cret-0123456789"


def unique() -> str:
    """Something that no cache knows."""
    return uuid.uuid4().hex


def older_than_23(builder: Builder) -> bool:
    return builder.engine.info().version.startswith("20.")


def test_cache_mounts_outlive_builds(buildkit: Builder) -> None:
    mount = f"RUN --mount=type=cache,id={unique()},target=/cache"
    buildkit.good(f"FROM BASE\n{mount} echo kept > /cache/file\n")
    built = buildkit.good(f"FROM BASE\n{mount} cp /cache/file /seen\n")
    assert buildkit.sh(built, "cat /seen; ls /cache 2>&- || true") == "kept\n"


def test_secrets_are_there_for_their_step_only(buildkit: Builder) -> None:
    dockerfile = f"FROM BASE\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size; echo {unique()}\n"
    built = buildkit.good(dockerfile, secrets={"token": SECRET.encode()})
    assert buildkit.sh(built, "cat /size; cat /run/secrets/token || true") == f"{len(SECRET)}\n"
    assert SECRET not in built.text
    assert SECRET not in str(buildkit.client.api.history(built.image))
    assert SECRET.encode() not in b"".join(buildkit.client.images.get(built.image).save())


@pytest.mark.parametrize("size", [0, 16_384, 65_536, 499_999])
def test_secrets_may_be_large(buildkit: Builder, size: int) -> None:
    dockerfile = f"FROM BASE\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size; echo {unique()}\n"
    assert buildkit.sh(buildkit.good(dockerfile, secrets={"token": b"x" * size}), "cat /size") == f"{size}\n"


def test_a_secret_that_nobody_configured_is_told(buildkit: Builder) -> None:
    told = 'the Dockerfile asks for the secret "none", which is not in build.secrets'
    built = buildkit.good(f"FROM BASE\nRUN --mount=type=secret,id=none ! ls /run/secrets/none; echo {unique()}\n")
    assert told in built.output.short
    refused = buildkit.run(f"FROM BASE\nRUN --mount=type=secret,id=none,required=true echo {unique()}\n")
    assert isinstance(refused.failure, BuildFailed)
    assert "secret none" in refused.failure.reason
    assert "build.secrets" in refused.failure.hint


def test_copy_sets_modes(buildkit: Builder) -> None:
    built = buildkit.good("FROM BASE\nCOPY --chmod=711 data /data\n", {"data": unique()})
    assert buildkit.sh(built, "stat -c %a /data") == "711\n"


@pytest.mark.parametrize(
    ("line", "made"),
    [("RUN <<EOF\necho one > /made\necho two >> /made\nEOF", "one\ntwo\n"), ("COPY --link data /made", "data")],
)
def test_newer_syntax_works_where_the_engine_has_it_and_is_explained_elsewhere(buildkit: Builder, line: str, made: str) -> None:
    built = buildkit.run(f"FROM BASE\n{line}\n", {"data": "data"})
    if older_than_23(buildkit):
        assert isinstance(built.failure, BuildFailed)
        assert "# syntax=docker/dockerfile:1" in built.failure.hint
    else:
        assert buildkit.sh(built, "cat /made") == made


def test_the_frontend_of_a_syntax_line_is_pulled_with_the_login(buildkit: Builder, registry_auth: Registry) -> None:
    image = f"{registry_auth.host}/frontend-{unique()[:8]}:1"
    login = (registry_auth.user, registry_auth.password)
    buildkit.engine.tag(buildkit.base, image)
    buildkit.client.images.push(image, auth_config={"username": login[0], "password": login[1]})
    buildkit.engine.remove_image(image)
    refused = buildkit.run(f"# syntax={image}\nFROM BASE\n")
    assert isinstance(refused.failure, RegistryError)
    assert not refused.failure.transient
    # It gets the image, in which there is a shell and no frontend.
    no_frontend = buildkit.run(f"# syntax={image}\nFROM BASE\n", credentials=lambda host: login)
    assert isinstance(no_frontend.failure, BuildFailed)


def test_the_cache_of_another_engine_can_be_used(buildkit: Builder, registry: Registry) -> None:
    image = f"{registry.host}/cached-{unique()[:8]}:1"
    dockerfile = f"FROM BASE\nRUN echo {unique()} > /made\nRUN cat /proc/uptime > /when\n"
    first = buildkit.good(dockerfile, tags=(image,), inline_cache=True)
    when = buildkit.sh(first, "cat /when")
    buildkit.client.images.push(image)
    buildkit.engine.remove_image(image)
    buildkit.engine.prune_build_cache(0)
    buildkit.client.api.prune_builds(all=True)
    second = buildkit.good(dockerfile, cache_from=(image,))
    assert buildkit.sh(second, "cat /when") == when
    third = buildkit.good(dockerfile, no_cache=True)
    assert buildkit.sh(third, "cat /when") != when


def test_an_image_counts_with_what_the_disk_holds(buildkit: Builder) -> None:
    """And not with what it is compressed."""
    label = {"gitdeploy-test.size": unique()}
    (name, value) = next(iter(label.items()))
    buildkit.good(f'FROM BASE\nLABEL {name}="{value}"\nRUN head -c 20000000 /dev/zero >/zero\n')
    (image,) = buildkit.engine.images(label)
    assert image.size > 20_000_000


def test_downloads_are_told_with_their_bytes(buildkit: Builder, registry: Registry) -> None:
    image = f"{registry.host}/large-{unique()[:8]}:1"
    buildkit.good("FROM BASE\nRUN head -c 20000000 /dev/urandom > /large\n", tags=(image,), no_cache=True)
    buildkit.client.images.push(image)
    buildkit.engine.remove_image(image)
    buildkit.client.api.prune_builds(all=True)
    built = buildkit.good(f"FROM {image}\nRUN echo {unique()}\n")
    states = [state for texts in built.output.states.values() for state in texts]
    assert any(state.startswith(f"[1/2] FROM {image}") and " of 2" in state for state in states), states
    assert any(line.startswith(f"[1/2] FROM {image}") and line.endswith(" MB") for line in built.output.short)


def test_the_upload_is_told_with_its_bytes(buildkit: Builder) -> None:
    built = buildkit.good("FROM BASE\nCOPY data /\n", {"data": b"x" * 3_000_000})
    assert built.output.states["context"][-1].startswith("sending the build context: ")


def test_the_same_files_are_the_same_build(buildkit: Builder) -> None:
    files = {"data": unique()}
    first = buildkit.good("FROM BASE\nCOPY . /app\nRUN cat /proc/uptime > /when\n", files)
    assert buildkit.good("FROM BASE\nCOPY . /app\nRUN cat /proc/uptime > /when\n", files).image == first.image


def test_builds_run_at_the_same_time(buildkit: Builder) -> None:
    def build(number: int) -> str:
        dockerfile = f"FROM BASE\nRUN --mount=type=secret,id=token cat /run/secrets/token > /made; sleep 1; echo {unique()}\n"
        mine = replace(buildkit, tag=f"{buildkit.tag}.{number}")
        built = mine.good(dockerfile, secrets={"token": f"value {number}".encode()})
        made = mine.sh(built, "cat /made")
        mine.clean_up()
        return made

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(build, range(3))) == ["value 0", "value 1", "value 2"]


def test_the_step_that_failed_is_told_and_not_one_that_was_stopped_for_it(buildkit: Builder) -> None:
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    slow = f"FROM BASE AS slow\nRUN sleep {mark}\n"
    wrong = f"FROM BASE AS wrong\nRUN sleep 1; echo {mark}; exit 7\n"
    both = buildkit.run(f"{slow}{wrong}FROM BASE\nCOPY --from=slow / /a\nCOPY --from=wrong / /b\n")
    assert both.failure.reason.endswith(f"RUN sleep 1; echo {mark}; exit 7 failed with exit code 7")
    assert both.failure.tail == (mark,)
    assert any(line.endswith(f"RUN sleep {mark} · cancelled") for line in both.output.short)
    assert not running(mark)


def test_progress_that_cannot_be_read_does_not_stop_a_build(buildkit: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    read = module.trace.decode
    monkeypatch.setattr(module.trace, "decode", lambda data: read(data[:-1] if len(data) % 2 else data))
    built = buildkit.good(f"FROM BASE\nRUN echo {unique()}\n")
    assert sum("cannot read" in line for line in built.output.lines) == 1


def test_a_line_of_a_megabyte_arrives_as_far_as_buildkit_passes_it_on(buildkit: Builder) -> None:
    built = buildkit.good("FROM BASE\nRUN head -c 1000000 /dev/zero | tr '\\0' x\n", no_cache=True)
    parts = [line.removeprefix("    ") for line in built.output.lines if line.startswith("    ")]
    whole = "".join(parts)
    rest = whole.lstrip("x")
    # Of what a step prints, BuildKit drops what is more than 200 KiB a second, and says so (util/progress/logs).
    assert (len(whole), rest) == (1_000_000, "") or (len(whole) > 200_000 and rest.startswith("[output clipped, log limit"))
    assert max(map(len, parts)) <= LONGEST


def test_the_query_names_what_was_asked_for_and_nothing_else() -> None:
    plain = BuildRequest("Dockerfile", ("a:1", "a:latest"))
    assert query(plain, "b", "s", files=True) == [
        *(("version", "2"), ("buildid", "b"), ("session", "s"), ("remote", "client-session")),
        *(("dockerfile", "Dockerfile"), ("t", "a:1"), ("t", "a:latest")),
    ]
    full = replace(plain, target="x", args={"A": "1"}, labels={"l": "v"}, cache_from=("c:1",), inline_cache=True)
    assert dict(query(replace(full, no_cache=True, pull=True), "b", "", files=False)) == {
        **{"version": "2", "dockerfile": "Dockerfile", "buildid": "b", "t": "a:latest", "target": "x", "nocache": "1"},
        **{
            "buildargs": '{"A": "1", "BUILDKIT_INLINE_CACHE": "1"}',
            "labels": '{"l": "v"}',
            "cachefrom": '["c:1"]',
            "pull": "1",
        },
    }


NO_FILE = '"/x": not found'
HINT_FILE = "is it in the repository, spelled like that, and not in .dockerignore?"


@pytest.mark.parametrize(
    ("message", "step", "reason", "hint"),
    [
        (
            'failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2',
            *("RUN make", "RUN make failed with exit code 2", ""),
        ),
        (
            "executor failed running [/bin/sh -c make]: exit code: 137",
            *("RUN make", "RUN make failed with exit code 137", "something killed it, often for lack of memory"),
        ),
        (
            f"failed to compute cache key: failed to calculate checksum of ref a::b: {NO_FILE}",
            *("COPY x /", f"COPY x / failed: {NO_FILE}", HINT_FILE),
        ),
        (f"failed to compute cache key: {NO_FILE}: not found", "COPY x /", f"COPY x / failed: {NO_FILE}", HINT_FILE),
        ("failed to solve with frontend dockerfile.v0: failed to create LLB definition: oops", "", "oops", ""),
        ("rpc error: code = Unknown desc = oops", "[internal] x", "[internal] x failed: oops", ""),
        (
            "write /x: no space left on device",
            *("[1/2] FROM base:1", "[1/2] FROM base:1 failed: write /x: no space left on device"),
            "free disk space; `docker system df` shows what takes it",
        ),
    ],
)
def test_failures_are_said_in_few_words(message: str, step: str, reason: str, hint: str) -> None:
    error = failed(message, Failure(step, message, ("tail",)) if step else None, lambda host: None)
    assert isinstance(error, BuildFailed)
    assert (error.reason, error.hint, error.tail) == (reason, hint, ("tail",) if step else ())
