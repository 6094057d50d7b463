"""What runs in containers beside an app's processes, as data with its built-in defaults. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import EMPTY, Health


@dataclass(frozen=True)
class Task:
    """`[apps.X.tasks.NAME]`: what runs once in a container of the new image, with the app's environment, networks and volumes.

    Attributes:
        when: "after-build": before anything is pushed (tests); "before-switch": while the old release serves (migrations);
            "after-switch": its failure is only reported.
        timeout: seconds.
        retry: whether it may run again where a crash cut it off.
        run: as the app has it, but for what it says itself; its command is there.
    """

    when: Literal["after-build", "before-switch", "after-switch"] = "before-switch"
    timeout: float = 600.0
    retry: bool = False
    run: Run = Run()


@dataclass(frozen=True)
class Schedule:
    """`[apps.X.schedule.NAME]`: what runs again and again in a container of what is live, with what that has.

    Attributes:
        cron: five fields, as crontab(5) has them.
        timezone: whose clock they are read by, a name such as "Europe/Berlin".
        timeout: seconds.
        overlap: whether it may begin while an earlier run of it is not over.
        run: as the app has it, but for what it says itself; its command is there.
    """

    cron: str = ""
    timezone: str = "UTC"
    timeout: float = 3600.0
    overlap: bool = False
    run: Run = Run()


@dataclass(frozen=True)
class Accessory:
    """`[apps.X.accessories.NAME]`: a database or a cache beside the app, which knows it by that name; deployments leave it be.

    Nothing of it comes from the app's own keys. The rest is as in `App`.

    Attributes:
        image: reference with its tag.
        volumes: beside those that its image declares, each of which gets a named volume of its own.
        backup_hint: how to make a backup; shown before its container is replaced.
    """

    image: str = ""
    publish: tuple[Publish, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    env_file: Path | None = None
    volumes: tuple[Volume, ...] = ()
    stop_timeout: float = 60.0
    backup_hint: str = ""
    run: Run = Run()
    health: Health = Health(start_period=60.0)
