#!/bin/sh
# docker-py 7.2.0: `docker.from_env()` follows the Docker CLI's current context, `docker.DockerClient()` does not; 7.1.0 follows it nowhere.
#
# Guess: `docker context use box` changes where the docker command goes and nothing else, and from_env() is DockerClient() with
# DOCKER_HOST and the TLS variables read from the environment, as its documentation says.
# Found (docker 7.1.0 and 7.2.0 from PyPI, Python 3.11, no variable but DOCKER_CONFIG set, `currentContext` in config.json):
#
#     7.1.0 from_env=http+docker://localhost DockerClient=http+docker://localhost
#     7.2.0 from_env=http://127.0.0.1:9 DockerClient=http+docker://localhost
#
# So after an upgrade from 7.1 to 7.2 a program can talk to another engine than yesterday, and two clients made in one process can
# talk to two engines. DOCKER_CONTEXT=default or DOCKER_HOST brings from_env() of 7.2.0 back. No engine is contacted here.
#
# Needs: python3 with venv, and PyPI. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

cat >"$work/ask.py" <<'PYTHON'
import hashlib, json, os, pathlib
import docker

config = pathlib.Path(os.environ["DOCKER_CONFIG"])
context = config / "contexts" / "meta" / hashlib.sha256(b"box").hexdigest()
context.mkdir(parents=True, exist_ok=True)
endpoint = {"Host": "tcp://127.0.0.1:9", "SkipTLSVerify": False}
(context / "meta.json").write_text(json.dumps({"Name": "box", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
(config / "config.json").write_text(json.dumps({"currentContext": "box"}))
from_env, plain = docker.from_env(version="1.41"), docker.DockerClient(version="1.41")
print(docker.__version__, f"from_env={from_env.api.base_url} DockerClient={plain.api.base_url}")
PYTHON

unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
for version in 7.1.0 7.2.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet --disable-pip-version-check install "docker==$version"
    mkdir "$work/$version-config"
    DOCKER_CONFIG="$work/$version-config" "$work/$version/bin/python" "$work/ask.py"
done >"$work/found"

cat >"$work/expected" <<'TEXT'
7.1.0 from_env=http+docker://localhost DockerClient=http+docker://localhost
7.2.0 from_env=http://127.0.0.1:9 DockerClient=http+docker://localhost
TEXT
diff "$work/expected" "$work/found" && echo 'still so'
