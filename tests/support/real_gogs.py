"""A real Gogs, from the binary that GITDEPLOY_GOGS_BIN names: 0.14, or 0.15 with its login by JSON and without CSRF tokens."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import ClassVar

from tests.support.net import wait_until
from tests.support.realserver import PASSWORD, USER, RealServer

APP_INI = """\
RUN_USER = {user}
RUN_MODE = prod

[server]
HTTP_ADDR        = 127.0.0.1
HTTP_PORT        = {port}
DOMAIN           = 127.0.0.1
EXTERNAL_URL     = http://127.0.0.1:{port}/
OFFLINE_MODE     = true
START_SSH_SERVER = true
SSH_LISTEN_HOST  = 127.0.0.1
SSH_PORT         = {ssh_port}
SSH_ROOT_PATH    = {data}/ssh

[database]
TYPE = sqlite3
PATH = {data}/gogs/data/gogs.db

[repository]
ROOT           = {data}/git/gogs-repositories
SCRIPT_TYPE    = sh
DEFAULT_BRANCH = main
ENABLE_LOCAL_PATH_MIGRATION = true

[security]
INSTALL_LOCK = true
SECRET_KEY   = for-tests-only

[picture]
DISABLE_GRAVATAR = true

[log]
MODE      = file
ROOT_PATH = {data}/gogs/log
"""


@dataclass
class RealGogs(RealServer):
    """A running Gogs."""

    home: ClassVar[str] = "gogs"
    environ: ClassVar[dict[str, str]] = {"GOGS_CUSTOM": "gogs", "GOGS_WORK_DIR": "gogs"}
    merges: ClassVar[str] = "move"
    app_ini: ClassVar[str] = APP_INI

    _browser: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    )

    def make_user(self) -> None:
        """See RealServer."""
        self.admin("create-user", f"--name={USER}", f"--password={PASSWORD}", "--email=alice@example.com", "--admin")
        self.token = self.api("POST", f"/users/{USER}/tokens", {"name": "tests"})["sha1"]
        if "0.14" in self.command([str(self.data.binary), "--version"]):
            self._submit("/user/login", "/user/login", user_name=USER, password=PASSWORD)
            return
        body = json.dumps({"username": USER, "password": PASSWORD}).encode()
        url, headers = f"http://127.0.0.1:{self.port}/api/web/user/sign-in", {"Content-Type": "application/json"}
        with self._browser.open(urllib.request.Request(url, body, headers), timeout=60) as answer:
            answer.read()

    def _page(self, path: str) -> str:
        """One page of the web site, as its user sees it."""
        with self._browser.open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def _submit(self, page: str, target: str, /, **values: str) -> str:
        """Sends a form of one page to a path; returns the page that comes then."""
        data = urllib.parse.urlencode({**self._token(page), **values}).encode()
        with self._browser.open(f"http://127.0.0.1:{self.port}{target}", data, timeout=120) as answer:
            text: str = answer.read().decode()
        error = re.search(r'class="ui negative message">\s*(.*?)\s*</div>', text, re.DOTALL)
        assert not error, f"{target}: {error[1]}"
        return text

    def _token(self, page: str) -> dict[str, str]:
        """What a form of this page has to bring back, if anything."""
        token = re.search(r'name="_csrf" (?:content|value)="([^"]+)"', self._page(page))
        return {"_csrf": token[1]} if token else {}

    def _tip(self, name: str) -> str:
        found: str = self.api("GET", f"/repos/{name}/branches/main")["commit"]["id"]
        return found

    def edit(self, name: str, path: str, text: str) -> None:
        """See RealServer."""
        body = {"message": "Edit", "content": base64.b64encode(text.encode()).decode(), "branch": "main"}
        self.api("PUT", f"/repos/{name}/contents/{path}", body)

    def edit_in_page(self, name: str, path: str, text: str) -> None:
        """See RealServer."""
        page = f"/{name}/_edit/main/{path}"
        self._submit(page, page, tree_path=path, content=text, commit_choice="direct", last_commit=self._tip(name))

    def delete_in_page(self, name: str, path: str) -> None:
        """See RealServer."""
        page = f"/{name}/_delete/main/{path}"
        self._submit(page, page, last_commit=self._tip(name), commit_choice="direct", commit_summary="", commit_message="")

    def upload_in_page(self, name: str, path: str, text: str) -> None:
        """See RealServer."""
        page, boundary = f"/{name}/_upload/main", "gitdeploy-test-boundary"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path}"\r\n\r\n'
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{name}/upload-file",
            data=head.encode() + text.encode() + f"\r\n--{boundary}--\r\n".encode(),
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "X-Csrf-Token": self._token(page).get("_csrf", ""),
            },
        )
        with self._browser.open(request, timeout=60) as answer:
            uuid: str = json.loads(answer.read())["uuid"]
        self._submit(page, page, tree_path="", files=uuid, commit_choice="direct", commit_summary="", commit_message="")

    def merge(self, name: str, branch: str, number: int) -> None:
        """See RealServer; in the web page."""
        compare = f"/{name}/compare/main...{branch}"
        self._submit(compare, compare, title=f"Merge {branch}")
        # Gogs tests in the background whether it can be merged.
        wait_until(lambda: 'name="merge_style"' in self._page(f"/{name}/pulls/{number}"), 30, "the pull request's test")
        self._submit(f"/{name}/pulls/{number}", f"/{name}/pulls/{number}/merge", merge_style="create_merge_commit")

    def mirror(self, source: str, name: str) -> str:
        """See RealServer."""
        origin = {"clone_addr": self.seen(source), "mirror": True}
        self.api("POST", "/repos/migrate", {**origin, "uid": self.api("GET", "/user")["id"], "repo_name": name})
        return f"{USER}/{name}"

    def fork(self, name: str, team: str) -> str:
        """See RealServer; in the web page."""
        owner = self.api("POST", "/user/orgs", {"username": team})["id"]
        page, repository = f"/repo/fork/{self.api('GET', f'/repos/{name}')['id']}", name.partition("/")[2]
        self._submit(page, page, user_id=str(owner), repo_name=repository, description="")
        return f"{team}/{repository}"

    def rename(self, name: str, new: str) -> None:
        """See RealServer; in the web page."""
        self._submit(f"/{name}/settings", f"/{name}/settings", action="update", repo_name=new.partition("/")[2])

    def transfer(self, name: str, team: str) -> None:
        """See RealServer; in the web page."""
        self.api("POST", "/user/orgs", {"username": team})
        page, repository = f"/{name}/settings", name.partition("/")[2]
        self._submit(page, page, action="transfer", repo_name=repository, new_owner_name=team)

    def begin_wiki(self, name: str) -> None:
        """See RealServer; in the web page."""
        page = f"/{name}/wiki/_new"
        self._submit(page, page, title="Home", content="hello", message="First page")

    def resync(self) -> None:
        """See RealServer."""
        self.admin("resync-hooks")
