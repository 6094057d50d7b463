"""The domains that a release has now, whatever it was released with. Pure."""

from __future__ import annotations

from dataclasses import replace

from gitdeploy.config.edgekeys import EDGE_APP_KEYS
from gitdeploy.config.layers import replaced
from gitdeploy.config.model import App, Config
from gitdeploy.config.show import value_of

_KEYS = tuple(key.path for key in EDGE_APP_KEYS if key.path != "port")


def fronted(config: Config, released: App) -> App:
    """Return a release with the domains that it has now, and what belongs to them.

    They are the server's to give, so config.toml counts and not what the release came with; but for what it lets the tree say.
    A tree's domain that config.toml has given to another app since then, or to the Git server, is that one's.
    """
    server = config.apps.get(released.name)
    if server is None:
        return replace(released, domains=())
    own, table = config.tables.get(released.name, {}), server.allow
    values = {path: value_of(released if path in table and path not in own else server, path) for path in _KEYS}
    theirs = {config.edge.git, *(domain for app in config.apps.values() if app is not server for domain in app.domains)}
    return replaced(released, {**values, "domains": tuple(domain for domain in values["domains"] if domain not in theirs)})
