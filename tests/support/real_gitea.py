"""A real Gitea or Forgejo, from the binary that GITDEPLOY_GITEA_BIN names.

Its web pages change files by the same code as its API does (services/repository/files), so the API is asked for those, too.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import ClassVar

from tests.support.net import wait_until
from tests.support.realserver import PASSWORD, USER, RealServer

APP_INI = """\
APP_NAME  = Gitea
RUN_USER  = {user}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
RUN_MODE  = prod
WORK_PATH = {data}/gitea

[server]
APP_DATA_PATH    = {data}/gitea
HTTP_ADDR        = 127.0.0.1
HTTP_PORT        = {port}
DOMAIN           = 127.0.0.1
ROOT_URL         = http://127.0.0.1:{port}/
OFFLINE_MODE     = true
START_SSH_SERVER = true
SSH_LISTEN_HOST  = 127.0.0.1
SSH_PORT         = {ssh_port}
BUILTIN_SSH_SERVER_USER = git
SSH_ROOT_PATH    = {data}/ssh
LFS_START_SERVER = true
LFS_JWT_SECRET   = HBAYUE5mNW05S1ZLcVVKWm5UZ3ZpdHhNZG5PcWJHaEg

[lfs]
PATH = {data}/git/lfs

[database]
DB_TYPE = sqlite3
PATH    = {data}/gitea/gitea.db

[repository]
ROOT           = {data}/git/repositories
SCRIPT_TYPE    = sh
DEFAULT_BRANCH = main

[security]
IMPORT_LOCAL_PATHS = true
INSTALL_LOCK   = true
SECRET_KEY     = for-tests-only
INTERNAL_TOKEN = for-tests-only

[oauth2]
JWT_SECRET = HBAYUE5mNW05S1ZLcVVKWm5UZ3ZpdHhNZG5PcWJHaEg

[log]
MODE      = file
ROOT_PATH = {data}/gitea/log
"""


@dataclass
class RealGitea(RealServer):
    """A running Gitea."""

    home: ClassVar[str] = "gitea"
    environ: ClassVar[dict[str, str]] = {"GITEA_CUSTOM": "gitea", "GITEA_WORK_DIR": "gitea"}
    merges: ClassVar[str] = "push"
    app_ini: ClassVar[str] = APP_INI

    def make_user(self) -> None:
        """See RealServer."""
        user = ("--username", USER, "--password", PASSWORD, "--email", "alice@example.com")
        self.admin("user", "create", *user, "--admin", "--must-change-password=false")
        token = ("--username", USER, "--token-name", "tests", "--scopes", "all", "--raw")
        self.token = self.admin("user", "generate-access-token", *token).split()[-1]

    def edit(self, name: str, path: str, text: str) -> None:
        """See RealServer."""
        sha = self._sha(name, path)
        content = base64.b64encode(text.encode()).decode()
        self.api("PUT", f"/repos/{name}/contents/{path}", {"content": content, "branch": "main", "sha": sha})

    edit_in_page = upload_in_page = edit

    def delete_in_page(self, name: str, path: str) -> None:
        """See RealServer."""
        self.api("DELETE", f"/repos/{name}/contents/{path}", {"branch": "main", "sha": self._sha(name, path)})

    def _sha(self, name: str, path: str) -> str:
        # What a push has brought is entered into the database after the push has ended.
        wait_until(lambda: not self.api("GET", f"/repos/{name}")["empty"], 30, "the first push in Gitea's database")
        found: str = self.api("GET", f"/repos/{name}/contents/{path}?ref=main")["sha"]
        return found

    def merge(self, name: str, branch: str, number: int) -> None:
        """See RealServer."""
        # Right after a push, Gitea does not know the branch yet.
        wait_until(lambda: self._answers(f"/repos/{name}/branches/{branch}"), 30, "the branch")
        self.api("POST", f"/repos/{name}/pulls", {"title": "Merge", "head": branch, "base": "main"})
        wait_until(lambda: self.api("GET", f"/repos/{name}/pulls/{number}")["mergeable"], 30, "the pull request's test")
        self.api("POST", f"/repos/{name}/pulls/{number}/merge", {"Do": "merge"})

    def _answers(self, path: str) -> bool:
        try:
            return bool(self.api("GET", path))
        except AssertionError:
            return False

    def mirror(self, source: str, name: str) -> str:
        """See RealServer."""
        origin = {"clone_addr": self.seen(source), "mirror": True, "service": "git"}
        self.api("POST", "/repos/migrate", {**origin, "repo_owner": USER, "repo_name": name})
        return f"{USER}/{name}"

    def fork(self, name: str, team: str) -> str:
        """See RealServer."""
        self.api("POST", "/orgs", {"username": team})
        self.api("POST", f"/repos/{name}/forks", {"organization": team})
        return f"{team}/{name.partition('/')[2]}"

    def rename(self, name: str, new: str) -> None:
        """See RealServer."""
        self.api("PATCH", f"/repos/{name}", {"name": new.partition("/")[2]})

    def transfer(self, name: str, team: str) -> None:
        """See RealServer."""
        self.api("POST", "/orgs", {"username": team})
        self.api("POST", f"/repos/{name}/transfer", {"new_owner": team})

    def begin_wiki(self, name: str) -> None:
        """See RealServer."""
        self.api("POST", f"/repos/{name}/wiki/new", {"title": "Home", "content_base64": base64.b64encode(b"hello").decode()})

    def resync(self) -> None:
        """See RealServer."""
        self.admin("regenerate", "hooks")
