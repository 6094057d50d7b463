"""Keys of an app's parts: `[apps.X.processes.NAME]`, `[apps.X.tasks.NAME]` and the like.

Who may set one: see `keys`. Accessories are the server's alone: they keep data, which a tree of another branch must not lose,
and their images are pulled with the server's own credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from gitdeploy.config import formats as f
from gitdeploy.config.crontimes import CRON, ZONE
from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.values import FLAG, choice, duration, matching

MAX_PARTS = 20
"""Of one kind: a tree may set them, and one box has to carry them."""

PART = matching(r"(?=.{1,30}\Z)(?!router\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*", 'a name such as "worker" or "nightly-report"')

LINE = matching(r"[^\x00-\x1f\x7f]{0,500}", "one line of text")


def _of_app(*paths: str) -> tuple[Key, ...]:
    """Return keys of an app by path; "run." stands for all below it."""
    return tuple(key for path, key in APP_KEYS.items() if path.startswith(paths))


PROCESS_KEYS = (
    Key("overlap", FLAG, "false: the old one ends before the new one starts, as with strategy recreate", "yes"),
    *_of_app("publish", "port", "strategy", "replicas", "max_surge", "hold", "stop_timeout", "health.", "canary.", "run."),
)

TASK_KEYS = (
    Key(
        "when",
        choice("after-build", "before-switch", "after-switch"),
        "after-build (tests) | before-switch (migrations) | after-switch",
        "yes",
    ),
    Key("timeout", duration("1s", "1d"), "limit; a tree: 1h at most", "yes"),
    Key("retry", FLAG, "whether it may run again where it was cut off", "yes"),
    *_of_app("run."),
)

SCHEDULE_KEYS = (
    Key("cron", CRON, "when it is due, as crontab(5) has it", "yes", "30 3 * * *"),
    Key("timezone", ZONE, "whose clock that is", "yes"),
    Key("timeout", duration("1s", "1d"), "limit; a tree: 1h at most", "yes"),
    Key("overlap", FLAG, "whether it may begin while the run before is not over", "yes"),
    *_of_app("run."),
)

ACCESSORY_KEYS = tuple(
    replace(key, tree="no", option="")
    for key in (
        Key("image", f.IMAGE_WITH_TAG, "what it runs; pulled when its container is made", example="postgres:17"),
        replace(APP_KEYS["publish"], doc="ports, as the app's own", example=["127.0.0.1:5432:5432"]),
        replace(APP_KEYS["env"], doc="environment of its container", example={"POSTGRES_DB": "shop"}),
        replace(APP_KEYS["env_file"], example="/var/lib/gitdeploy/secrets/shop-db.env"),
        replace(
            APP_KEYS["volumes"],
            doc="more mounts: each VOLUME of its image has one",
            example=["shop-backup:/backup"],
        ),
        *_of_app("stop_timeout"),
        Key("backup_hint", LINE, "said before its container is replaced", example="pg_dump -U postgres shop >/backup/shop.sql"),
        *_of_app("run.", "health."),
    )
)


def _table(*keys: Key) -> Mapping[str, Key]:
    return MappingProxyType({key.path: key for key in keys})


PARTS: Mapping[str, Mapping[str, Key]] = MappingProxyType(
    {
        "processes": _table(*PROCESS_KEYS),
        "tasks": _table(*TASK_KEYS),
        "schedule": _table(*SCHEDULE_KEYS),
        "accessories": _table(*ACCESSORY_KEYS),
    }
)
"""By the table that they stand in, the keys of each part."""
