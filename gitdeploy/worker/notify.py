"""`[notify]`: tells a URL how a deployment ended."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from gitdeploy.config.sections import Notify
from gitdeploy.releases.records import Deployment, ScheduledRun

TIMEOUT = 5.0
"""Seconds for the whole request; nobody waits for it but the worker."""

SHOWN = ("id", "app", "version", "status", "stage", "error", "commit_id", "ref", "pusher", "strategy")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the address in config.toml is the one that may know of deployments."""

    def redirect_request(self, *_: Any) -> None:
        return None


def notify(
    target: Notify, deployment: Deployment, note: Callable[[str], None], hide: Callable[[str], str] = str
) -> threading.Thread | None:
    """POST the result as JSON if the config asks for this event; a failure is noted in the log and changes nothing.

    Args:
        hide: takes secrets out of a text.

    Returns:
        the thread of a request that is not over after TIMEOUT seconds, if there is one.
    """
    facts = {name: getattr(deployment, name) for name in SHOWN}
    return _notify(target, facts, f"deployment {deployment.id}", note, hide)


def notify_run(
    target: Notify, run: ScheduledRun, note: Callable[[str], None], hide: Callable[[str], str]
) -> threading.Thread | None:
    """Do the same for a run of a schedule that failed; what else becomes of one is told to nobody."""
    if run.status != "failed":
        return None
    shown = {name: getattr(run, name) for name in ("id", "app", "version", "status", "error", "exit_code")}
    return _notify(target, {**shown, "schedule": run.name}, f"run {run.id}", note, hide)


def _notify(
    target: Notify, facts: Mapping[str, object], what: str, note: Callable[[str], None], hide: Callable[[str], str]
) -> threading.Thread | None:
    if not target.url or facts["status"] not in target.events:
        return None
    body = json.dumps({name: hide(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}).encode()
    failed: list[str] = []
    thread = threading.Thread(target=lambda: failed.append(_post(target.url, body)), name="notify", daemon=True)
    thread.start()
    thread.join(TIMEOUT)  # neither a name server nor one byte a second makes it longer
    problem = failed[0] if failed else f"no answer within {TIMEOUT:.0f} s"
    if problem:
        note(f"notify.url did not take the result of {what}: {problem}")
    return thread if thread.is_alive() else None


def _post(url: str, body: bytes) -> str:
    """Make the request; return why it failed, "" if it did not. The answer's body is not read."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _NoRedirect,
    ):
        opener.add_handler(handler())
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json", "User-Agent": "gitdeploy"})
        with opener.open(request, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        moved = ", a redirect, which is not followed: name the address it leads to" if 300 <= error.code < 400 else ""
        return f"it answered HTTP {error.code}{moved}"
    except urllib.error.URLError as error:
        return getattr(error.reason, "strerror", None) or type(error.reason).__name__
    except Exception as error:  # a server that speaks no HTTP, an address that is none: whatever it is, it is only this
        return f"the request failed ({type(error).__name__})"
