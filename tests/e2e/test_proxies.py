"""What Docker's own config.json says of proxies holds for builds and containers, as with the docker command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployable
from tests.support.params import sample

PROXY = "http://me:hunter2hunter2@proxy.example:3128"
SHOWN = 'RUN echo "proxy is $http_proxy; other is $OTHER"\n'


@pytest.mark.parametrize("builder", sample(["buildkit", "classic"], "buildkit"))
def test_builds_and_containers_get_them(app: Deployable, tmp_path: Path, builder: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": PROXY, "noProxy": "127.0.0.1"}}}))
    config = app.site.home / "config.toml"
    config.write_text(config.read_text() + f'build.engine = "{builder}"\nenv = {{ NO_PROXY = "mine" }}\n')
    app.clone.release("1", {"Dockerfile": (app.clone.path / "Dockerfile").read_text().replace("COPY", f"{SHOWN}COPY")})
    remote = replace(app.remote, environ={**app.remote.environ, "DOCKER_CONFIG": str(tmp_path)})
    done = app.clone.push(remote, options=["gitdeploy.output=full"]).text
    assert "proxy is http://me:***@proxy.example:3128; other is" in done, done
    assert "hunter2" not in done
    assert (app.get("/env/HTTP_PROXY"), app.get("/env/http_proxy")) == (PROXY, PROXY)
    assert (app.get("/env/NO_PROXY"), app.get("/env/no_proxy")) == ("mine", "127.0.0.1")
