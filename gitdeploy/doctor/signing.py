"""What `verify` and `require_signed` need: programs of this machine, and files with keys that nobody else can change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline.programs import PATH, find_program
from gitdeploy.pipeline.signatures import OPENPGP, SSH, read_keys, require_program


def examine_programs(apps: Iterable[App]) -> Iterator[Finding]:
    """Look for what each app's deployments would fail without; nothing is run."""
    for app in apps:
        if app.verify:
            yield _judge(app)
        rule = app.require_signed
        for key, path, program in (("allowed_signers", rule.allowed_signers, SSH), ("keyring", rule.keyring, OPENPGP)):
            if path:
                try:
                    read_keys(path, f"require_signed.{key}")
                    yield Finding("ok", "signatures", f"{require_program(program)} and the keys in {path}", app=app.name)
                except StageFailed as error:
                    yield from_error("signatures", error, app=app.name)


def _judge(app: App) -> Finding:
    path = find_program(app.verify[0])
    if path is None:
        fix = f"install it where gitdeploy runs, in one of {PATH}"
        return Finding("error", "verify", f"there is no program {app.verify[0]}", fix, app.name)
    if not any("{image}" in argument for argument in app.verify):
        return Finding("warning", "verify", f"{path} is not told the image", 'add "{image}" to verify', app.name)
    return Finding("ok", "verify", f"{path} judges each image", app=app.name)
