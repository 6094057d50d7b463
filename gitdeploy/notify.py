"""`[notify]`: tells a URL how a deployment ended."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable

from gitdeploy.config.model import Notify
from gitdeploy.records import Deployment

TIMEOUT = 5.0
"""Seconds for the whole request; nobody waits for it but the worker."""


def notify(target: Notify, deployment: Deployment, note: Callable[[str], None]) -> None:
    """POSTs the result as JSON if the config asks for this event; a failure is noted in the log and changes nothing."""
    if not target.url or deployment.status not in target.events:
        return
    shown = ("id", "app", "version", "status", "stage", "error", "commit_id", "ref", "pusher", "strategy")
    body = json.dumps({name: getattr(deployment, name) for name in shown}).encode()
    request = urllib.request.Request(target.url, body, {"Content-Type": "application/json", "User-Agent": "gitdeploy"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            pass
    except (OSError, ValueError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        note(f"notify.url did not take the result of deployment {deployment.id}: {reason}")
