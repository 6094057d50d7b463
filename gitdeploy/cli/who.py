"""Who runs the command line, and the audit of what they ask for."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping

from gitdeploy.audit import FILE, AuditLog, Entry, digest
from gitdeploy.site import Site

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
    entry = Entry(how, verdict, user_name(environ), UID, **facts)  # type: ignore[arg-type]
    log.write(entry)


def audit_config(site: Site, environ: Mapping[str, str], how: str, *, app: str = "", reason: str = "") -> None:
    """The same for a change of config.toml by the command line, which the file's new hash goes with."""
    config = site.home / "config.toml"
    config_toml = digest(config.read_bytes()) if config.exists() else ""
    audit(site, environ, how, verdict="done", app=app, reason=reason, config_toml=config_toml)
