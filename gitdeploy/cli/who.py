"""Who runs the command line, what they ask for, and what is said when one app among several fails."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping

from gitdeploy.errors import understood
from gitdeploy.releases.audit import FILE, AuditEntry, AuditLog, digest
from gitdeploy.terminal.redact import harmless
from gitdeploy.worker.site import Site

UID = os.getuid()
"""The user who started this process; root goes on as the owner of the installation (`context.become`)."""


def user_name(environ: Mapping[str, str]) -> str:
    """Return the name of the user who runs the command line, as the environment says it."""
    name = environ.get("SUDO_USER") or environ.get("USER")
    if name:
        return name
    try:
        return pwd.getpwuid(UID).pw_name
    except KeyError:
        return f"uid {UID}"


def audit(site: Site, environ: Mapping[str, str], how: str, *, verdict: str = "asked", **facts: object) -> None:
    """Write who asked for what into the audit log; a failure is told and stops nothing.

    Args:
        how: see `audit.Entry`, of which `facts` are other fields.
    """
    log = AuditLog(site.home / FILE, site.now, lambda text: print(f"gitdeploy: {text}", file=sys.stderr))
    entry = AuditEntry(how, verdict, user_name(environ), UID, **facts)  # type: ignore[arg-type]
    log.write(entry)


def audit_config(site: Site, environ: Mapping[str, str], how: str, *, app: str = "", reason: str = "") -> None:
    """Write the same for a change of config.toml by the command line, with the file's new hash."""
    config = site.home / "config.toml"
    config_toml = digest(config.read_bytes()) if config.exists() else ""
    audit(site, environ, how, verdict="done", app=app, reason=reason, config_toml=config_toml)


def complain(site: Site, app: str, error: Exception) -> int:
    """Show what went wrong with one app among several, so that the others' turn comes; return the exit status."""
    known = understood(error, str(site.home / "logs" / "gitdeploy.log"))
    if known is not error:
        from gitdeploy.terminal import console  # noqa: PLC0415 - loguru comes with it

        console.setup(site.home / "logs" / "gitdeploy.log")
        console.crash(f"{app}: the command line failed")
    for line in [f"{app}: {known.reason}", *([f"    what to do: {known.hint}"] if known.hint else [])]:
        print(harmless(line), file=sys.stderr)
    return known.exit_code
