"""A router that no request comes to: with settings that the real one is yet to have, it asks what is to serve."""

from __future__ import annotations

from collections.abc import Iterable

from gitdeploy.config.model import App
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.releases.release import APP, ROLE, process_label, target_label
from gitdeploy.targets.router.haproxy import READY, Haproxy
from gitdeploy.targets.router.haproxycfg import DIRECTORY, FILE, Backend

NO_CLIENT = 70
"""Exit code of COMMAND for an image that gitdeploy cannot speak to."""

COMMAND = f"""\
command -v nc >/dev/null || command -v bash >/dev/null || exit {NO_CLIENT}
exec haproxy -db -f {DIRECTORY}/{FILE}"""

HINT = "the official haproxy images work: set router.image to one of them"


class Scout(Haproxy):
    """A container of no consequence; one that a crash leaves goes with the app's other routers, see `container.settle`."""

    def __init__(self, router: Haproxy, app: App) -> None:
        """`router`: the real one, running or not; its settings are those that it is to have."""
        super().__init__(router.engine, f"{app.container}.0.check", router.settings)
        self._router = router.container
        self._app = app
        self._runs = False

    def start(self) -> None:
        """Make it and wait until HAProxy answers, unless it does. Raises StageFailed if HAProxy does not take the settings."""
        if self._runs:
            return
        app, real = self._app, self.engine.container(self._router)
        if real is None:
            raise StageFailed("the router's container was removed while it was needed", "deploy again")
        self.remove()
        labels = {APP: app.name, ROLE: "check", **process_label(app), **target_label(app)}
        command = ("sh", "-c", COMMAND)
        self.engine.create(ContainerSpec(self.container, real.image, command=command, networks=real.networks, labels=labels))
        self.load(())
        try:
            super().start()
        except EngineError as error:
            raise StageFailed(f"the router's image {app.router.image} cannot run: {error.reason}", HINT) from error
        except StageFailed as error:
            raise self._refusal(error) from error
        self._runs = True

    def _refusal(self, error: StageFailed) -> StageFailed:
        found, image = self.engine.container(self.container), self._app.router.image
        if found is None:
            return error
        if not found.running and found.exit_code == NO_CLIENT:
            return StageFailed(f"the router's image {image} has neither nc nor bash to speak to HAProxy with", HINT)
        how = f"no answer in {READY:.0f} s" if found.running else f"exit code {found.exit_code}"
        reason = f"HAProxy of {image} refused the generated configuration ({how})"
        return StageFailed(reason, HINT, self.engine.logs(self.container, 15))

    def apply(self, servers: Iterable[Backend]) -> None:
        """Let it ask these. Raises as `start`."""
        self.start()
        super().apply(servers)

    def remove(self) -> None:
        """Remove it, or what bears its name."""
        self.engine.remove(self.container, force=True)
