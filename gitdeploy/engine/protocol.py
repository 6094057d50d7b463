"""What gitdeploy asks of a container engine, without a word of how.

`engine.client.connect` gives the real one. Everything outside `engine/` depends on this module and `engine.types` only, so that
no other module imports docker, and importing them is free. What makes images needs no more than `Builder`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from gitdeploy.engine.cluster import Cluster
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.madewith import MadeWith
from gitdeploy.engine.types import (
    NEVER,
    Attended,
    BuildRequest,
    Cancel,
    Container,
    ContainerSpec,
    Credentials,
    EngineInfo,
    Image,
    Output,
)


class Builder(Protocol):
    """What makes images and keeps them. Every method may raise EngineError, and UnfitError when it cannot be reached."""

    def info(self) -> EngineInfo: ...

    def warm(self) -> None:
        """Import what `build` needs: in a thread, while something else is waited for."""

    def ping(self) -> None:
        """Ask for a sign of life, and wait for it for a moment only. Raises UnfitError."""

    def await_end(self, timeout: float) -> bool:
        """Wait until the engine ends; return False if it is still there after `timeout` seconds."""

    def image(self, ref: str) -> Image | None:
        """Return the image of that id or reference, None if the engine has none."""

    def images(self, labels: Mapping[str, str]) -> list[Image]:
        """Return all images with these labels ("" for any value), newest first."""

    def tag(self, image: str, ref: str) -> None:
        """Give the image (id or reference) one more tag, "repository:tag"."""

    def remove_image(self, ref: str) -> bool:
        """Remove a tag, or an image by id; return False if there was none. An image in use is an EngineError (409)."""

    def build(
        self,
        request: BuildRequest,
        context: BuildContext,
        credentials: Credentials,
        output: Output,
        cancel: Cancel = NEVER,
    ) -> str:
        """Build an image and return its id. Raises BuildFailed, RegistryError, Cancelled, and what the context raises."""

    def push(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        """Push one "repository:tag" and return its digest, "sha256:…". Raises RegistryError, Cancelled. No retries."""

    def pull(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        """Pull one reference and return the image's id. Raises RegistryError, Cancelled. No retries."""

    def login(self, ref: str, credentials: Credentials) -> None:
        """Try the credentials, or anonymous access, at the registry of a reference. Raises RegistryError. No retries."""

    def prune_build_cache(self, keep: int) -> int:
        """Drop build cache beyond `keep` bytes; return the bytes freed."""


class CommandSession(Protocol):
    """A command that somebody is attached to, for one thread."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when `receive` has something, and writable when `send` takes something."""

    def receive(self) -> Sequence[tuple[int, bytes]] | None:
        """Return what came, as bytes with 1 for stdout (or the terminal) and 2 for stderr; waits for it. None: that was all."""

    def send(self, data: bytes) -> int:
        """Give it input; return how many bytes of it were taken, without waiting."""

    def end_input(self) -> None:
        """Let it read the end of its input."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell it the size of its terminal."""

    def signal(self, name: str) -> bool:
        """Send it a signal ("INT"); return False if nothing can be sent to it. One that has ended gets none."""

    def exit_code(self, patience: float) -> int | None:
        """Wait for its end for so many seconds; return its exit code, None if it has not ended.

        Raises UnfitError if the engine goes away, NotRunnable if there is no such program in a container that runs.
        """


class Engine(Builder, Protocol):
    """A container engine: a builder that runs containers, too."""

    # containers
    def containers(self, labels: Mapping[str, str], *, all: bool = True) -> list[Container]:
        """Return containers with these labels ("" for any value; {} for all), newest first; all=False: running ones only."""

    def container(self, ref: str) -> Container | None:
        """Return the container of that id or name as it is now, None if there is none."""

    def made_with(self, container: str) -> tuple[MadeWith, ...]:
        """Return the options of `docker run` that it was made with."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container, joined to its networks, not started; return its id. A taken name is an EngineError (409)."""

    def start(self, container: str) -> None:
        """Start it; a taken host port is an EngineError whose reason names it. Starting a running one does nothing."""

    def stop(self, container: str, timeout: float | None = None) -> None:
        """Its stop signal, then SIGKILL after `timeout` seconds (None: its own). Stopping a stopped one does nothing."""

    def remove(self, container: str, *, force: bool = False) -> bool:
        """Remove it with its anonymous volumes; return False if there was none."""

    def rename(self, container: str, name: str) -> None: ...

    def signal(self, container: str, name: str) -> None:
        """Send a signal ("HUP") to its first process."""

    def wait(self, container: str, timeout: float) -> int | None:
        """Wait until it is not running; return its exit code, None if `timeout` seconds passed."""

    def logs(self, container: str, tail: int) -> list[str]:
        """Return the last lines of its output, stdout and stderr as they came."""

    def follow(self, container: str, tail: int) -> Iterator[str]:
        """Yield these lines and what it says from then on, until it ends; engines may drop an unfinished line at the end.

        There is no deadline: who asks may stop asking.
        """

    def exec(self, container: str, command: Sequence[str], timeout: float = 30.0) -> tuple[int, bytes]:
        """Run a command in it, without input; return exit code and combined output, of which some megabytes count.

        One that has not ended after `timeout` seconds is an EngineError; it may run on.
        """

    def attend(self, container: str, how: Attended, *, replay: bool = False) -> AbstractContextManager[CommandSession]:
        """Attach to a container that was not started yet, and start it: nothing that it says is lost.

        With `replay` it is one that was started before, and what its log has comes first.

        Raises EngineError, and NotRunnable for a program that is not there. The container is to be removed in any case.
        """

    def exec_attended(self, container: str, command: Sequence[str], how: Attended) -> AbstractContextManager[CommandSession]:
        """Run a command in a container that runs."""

    def put_files(self, container: str, directory: str, files: Mapping[str, bytes], mode: int = 0o644) -> None:
        """Write files (name → content) into a directory that exists in it, running or not."""

    def set_restart(self, container: str, policy: str) -> None:
        """Change its restart policy ("no", "always", "unless-stopped", "on-failure:N")."""

    # networks
    def ensure_network(self, name: str, labels: Mapping[str, str]) -> str:
        """Return the id of the network of that name, made as a bridge with these labels if there was none."""

    def network(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of the network of exactly that name, None if there is none."""

    def connect(self, network: str, container: str, aliases: Sequence[str] = ()) -> None: ...

    def disconnect(self, network: str, container: str) -> None: ...

    def networks(self, labels: Mapping[str, str]) -> list[str]:
        """Return names of the networks with these labels."""

    def remove_network(self, name: str) -> bool:
        """Remove it; return False if there was none."""

    # volumes
    def volume(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of the volume of that name, None if there is none."""

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume with these labels; one that is there keeps its own."""

    def manages_cluster(self) -> bool:
        """Return whether it may be asked for services; that costs an engine alone next to nothing."""

    def cluster(self, patience: float = 0.0) -> Cluster:
        """Return the cluster that the engine is in, or is not: see `Cluster.membership`.

        Each call waits so many seconds where the managers have no leader, or are about to elect one.
        """

    def close(self) -> None: ...
