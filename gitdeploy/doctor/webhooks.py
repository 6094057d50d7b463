"""Webhooks in the Git server's database that still call a Jenkins, which would deploy every push a second time.

Tables as of gogs/internal/database (webhook.go, repo.go, users.go), and go-gitea/gitea/models (webhook/webhook.go), where the
organization is owner_id since 1.19. Nothing that stands in them is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gitdeploy.doctor.finding import Finding
from gitdeploy.source.servertables import open_tables

LIMIT = 5.0
"""Seconds that the database may take to answer."""

MAX_ROWS = 10_000

QUERY = """
SELECT webhook.url, webhook.events, owner.lower_name, repository.lower_name
FROM webhook
LEFT JOIN repository ON repository.id = webhook.repo_id
LEFT JOIN "user" AS owner ON owner.id = CASE WHEN webhook.repo_id > 0 THEN repository.owner_id ELSE webhook.{owner} END
WHERE webhook.is_active
LIMIT ?
"""

JENKINS = re.compile(
    r"jenkins|/job/|/(?:gogs|gitea|github|bitbucket)-webhook\b|/generic-webhook-trigger/|/git/notifyCommit|/build(?:WithParameters)?$",
    re.IGNORECASE,
)
"""In an address: Jenkins by name, its jobs, and the addresses of its plugins."""


@dataclass(frozen=True)
class Webhook:
    """An active webhook that is called for pushes.

    Attributes:
        owner: of the repository, lower case.
        repository: its name, lower case; "" if it stands for all repositories of an organization.
        url: scheme, host and path: the rest can hold passwords.
        jenkins: whether a Jenkins seems to be called.
    """

    owner: str
    repository: str
    url: str
    jenkins: bool


def read_webhooks(database: Path) -> list[Webhook]:
    """Return the active ones for pushes. Raises sqlite3.Error if there are no such tables or they take too long; OSError."""
    with closing(open_tables(database, LIMIT)) as db:
        columns = {name for _, name, *_ in db.execute("PRAGMA table_info(webhook)")}
        query = QUERY.format(owner="owner_id" if "owner_id" in columns else "org_id")
        rows = db.execute(query, (MAX_ROWS,)).fetchall()
    return [_webhook(*row) for row in rows if _for_pushes(row[1])]


def _webhook(url: object, _: object, owner: object, repository: object) -> Webhook:
    shown = _without_secrets(str(url))
    return Webhook(str(owner or ""), str(repository or ""), shown, JENKINS.search(shown) is not None)


def _for_pushes(events: object) -> bool:
    """As `HasPushEvent` of Gogs has it."""
    try:
        chosen = json.loads(str(events))
    except (ValueError, RecursionError):
        return False
    if not isinstance(chosen, dict):
        return False
    single = chosen.get("events")
    pushes = isinstance(single, dict) and bool(single.get("push"))
    return bool(chosen.get("push_only") or chosen.get("send_everything") or (chosen.get("choose_events") and pushes))


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
    except ValueError:
        return "an address that cannot be read"


def judge_webhooks(webhooks: Iterable[Webhook], enrolled: Mapping[str, str], server: str) -> Iterator[Finding]:
    """Yield the webhooks that would deploy again what gitdeploy has deployed. Pure.

    Args:
        enrolled: repository as the Git server calls it now, "owner/name" in lower case, to its app.
        server: what that is called.
    """
    for webhook in webhooks:
        if not webhook.jenkins:
            continue
        whole = f"{webhook.owner}/{webhook.repository}"
        if webhook.repository and whole in enrolled:
            found = f"pushes are still sent to {webhook.url}: a Jenkins would deploy them a second time"
            fix = f"remove it in {server}: {whole}, Settings, Webhooks"
            yield Finding("warning", "webhook", found, fix, enrolled[whole])
        elif not webhook.repository and any(name.startswith(f"{webhook.owner}/") for name in enrolled):
            found = (
                f"pushes to all of {webhook.owner} are still sent to {webhook.url}: a Jenkins would deploy them a second time"
            )
            fix = f"remove it in {server}: organization {webhook.owner}, Settings, Webhooks"
            yield Finding("warning", "webhook", found, fix)
