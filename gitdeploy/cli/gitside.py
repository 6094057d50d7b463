"""The Git server's side of an installation: its settings, its repositories, and the hooks in them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gitdeploy.config.model import App, Config
from gitdeploy.errors import GitdeployError
from gitdeploy.gitserver.enrolment import enrol, refresh
from gitdeploy.gitserver.gitserver import GitServer, has_server, read_server
from gitdeploy.gitserver.hookconf import HookConf, Mode
from gitdeploy.gitserver.hookplaces import PLAIN, HookPlaces
from gitdeploy.intake.choice import full_patterns

if TYPE_CHECKING:
    from gitdeploy.source.sameserver import SameServer
    from gitdeploy.worker.readers import Readers


class GitSide:
    """A Git server's data directory, or one beside plain bare repositories."""

    def __init__(self, data: Path, shared: Path, mode: Mode) -> None:
        """Take that directory, the gitdeploy directory in it, and how gitdeploy runs."""
        self._data = data
        self._shared = shared
        self._mode: Mode = mode
        self._server: GitServer | None = None

    def server(self) -> GitServer:
        """Return the Git server; its app.ini is read once. Raises UnfitError."""
        if self._server is None:
            self._server = read_server(self._data)
        return self._server

    def server_if_any(self) -> GitServer | None:
        """Return the same, None where there is none: asked anew, for an agent may begin before the Git server is set up."""
        return self.server() if has_server(self._data) else None

    def homes(self) -> tuple[str, ...]:
        """Return the gitdeploy directory as hooks may see it."""
        found = self.server_if_any()
        return found.homes if found else (str(self._shared),)

    def install_hook(self, app: App, config: Config, repository: Path) -> bool:
        """See `Site.install_hook`."""
        conf = hook_conf(app, config, self.homes(), self._mode)
        return enrol(self._data, repository, conf, hook_places(app, self.server_if_any()), as_of_ns=config.written).changed

    def refresh_hook(self, app: App, config: Config, repository: Path) -> None:
        """See `Site.refresh_hook`."""
        conf = hook_conf(app, config, self.homes(), self._mode)
        with contextlib.suppress(GitdeployError, OSError):
            refresh(self._data, repository, conf, as_of_ns=config.written)

    def submodules(self, repository: Path) -> SameServer | None:
        """Return where the submodules of an app's commits may be: among the repositories of the same Git server."""
        from gitdeploy.source.sameserver import SameServer  # noqa: PLC0415 - see `installation`

        server = self.server_if_any()
        if server is None:
            return None
        root = server.root.resolve()
        owner = repository.parent.name if repository.parent.parent == root else ""
        return SameServer(root, owner, server.web.hosts, server.web.prefix)

    def readers(self, temporary: str) -> Readers:
        """Return what opens repositories. Takes the directory for temporary files, "" for the system's."""
        from gitdeploy.worker.readers import Readers, place_of  # noqa: PLC0415 - see `installation`

        return Readers(lambda path: place_of(path, self.server_if_any()), temporary)


def hook_conf(app: App, config: Config, homes: Sequence[str], mode: Mode) -> HookConf:
    """Return what the hook of this app's repository is to know."""
    others = {name: full_patterns(other.branch) for name, other in config.apps.items() if name not in config.mistaken}
    return HookConf(app.name, homes, full_patterns(app.branch), config.server.relay_timeout, mode, others=others)


def hook_places(app: App, server: GitServer | None) -> HookPlaces:
    """Return where in its repository the hook of this app goes."""
    return PLAIN if app.bare or server is None else server.adapter.hooks
