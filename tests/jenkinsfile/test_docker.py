"""The options of `docker run`, `build` and `push` become keys; those that cannot are told."""

from __future__ import annotations

import pytest

from tests.jenkinsfile.reading import convert, run_only

PUBLISH = [
    ("-p 8080:80", ["8080:80"]),
    ("-p8080:80 -p 127.0.0.1:8443:443", ["8080:80", "127.0.0.1:8443:443"]),
    ("--publish=53:53/udp", ["53:53/udp"]),
    ("-dp 8080:80", ["8080:80"]),
    ("-itdp=8080:80", ["8080:80"]),
    ('-p "$Port":80', ["8080:80"]),
    ("-p ${Port}:80 -p ${env.Port}:80", ["8080:80"]),
]


@pytest.mark.parametrize(("options", "expected"), PUBLISH)
def test_published_ports(options: str, expected: list[str]) -> None:
    table, _ = run_only(options, "environment { Port = '8080' }")

    assert table == {"publish": expected}


CARRIED = [
    ("-e A=1 --env B='x y' -e C=\"p=q\"", {"env": {"A": "1", "B": "x y", "C": "p=q"}}),
    ("-v /a:/b -v data:/c:ro", {"volumes": ["/a:/b", "data:/c:ro"]}),
    ("--mount type=bind,source=/a,target=/b,readonly", {"volumes": ["/a:/b:ro"]}),
    ("--mount src=data,dst=/c", {"volumes": ["data:/c"]}),
    ("--net backend --network=front", {"networks": ["backend", "front"]}),
    ("--restart on-failure:3 --stop-timeout 30", {"restart": "on-failure:3", "stop_timeout": 30}),
    ("--name app --env-file /etc/app.env -d -it", {"container": "app", "env_file": "/etc/app.env"}),
    ("-m 512m --cpus 1.5 --pids-limit=200", {"run": {"memory": "512MiB", "cpus": 1.5, "pids_limit": 200}}),
    (
        "--log-driver local --log-opt max-size=5m --log-opt max-file=2",
        {"run": {"log_driver": "local", "log_opts": {"max-size": "5m", "max-file": "2"}}},
    ),
    ("\\\n  --name app \\\n  -p 1:2", {"container": "app", "publish": ["1:2"]}),
]


@pytest.mark.parametrize(("options", "expected"), CARRIED)
def test_options_that_are_carried_over(options: str, expected: dict[str, object]) -> None:
    table, notes = run_only(options)

    assert table == expected
    assert notes.replace("docker run has no --restart", "").count("not carried over") == 0


TOLD = [
    ("-p 80", "--publish 80: not carried over: expected"),
    ("-P", "--publish-all: not carried over: name the ports"),
    ("-v ./data:/data", "--volume ./data:/data: not carried over"),
    ("--network host", "host and none are refused"),
    ("--privileged", "--privileged: not carried over: gitdeploy runs nothing privileged"),
    ("--memory 1.5g", "--memory 1.5g: not carried over"),
    ("--cpus all", "--cpus all: not carried over"),
    ("--pids-limit -1", "--pids-limit -1: not carried over"),
    ("--health-cmd 'curl x'", "HEALTHCHECK"),
    ("-e TOKEN", "--env TOKEN: takes its value from Jenkins' own environment"),
    ("-e N=$BUILD_NUMBER", "--env N=…: not carried over, for the value does not stand in the Jenkinsfile"),
    ("-e N=$(date +%s)", "--env N=…: not carried over, for the value does not stand in the Jenkinsfile"),
    ("--name $UNKNOWN", "--name $UNKNOWN: not carried over, for the value"),
    ("--mount type=tmpfs,target=/t", "--mount type=tmpfs,target=/t: not carried over"),
    ("--stop-timeout ever", "--stop-timeout ever: not carried over"),
    ("--frobnicate x", "--frobnicate x: not carried over"),
]


@pytest.mark.parametrize(("options", "expected"), TOLD)
def test_options_that_are_told(options: str, expected: str) -> None:
    table, notes = run_only(options)

    assert table == {}
    assert expected in notes


def test_command_after_the_image_is_told() -> None:
    _, notes = convert("sh 'docker run -d a/b:$VERSION serve --port 80'")

    assert 'the command "serve --port 80" after the image' in notes[1]


PUSHES = [
    ("docker push x/y:$VERSION", {"image": "x/y", "push": {"tags": ["{version}"]}}),
    ("docker push x/y:$VERSION && docker push x/y:latest", {"image": "x/y"}),
    (
        "docker tag x/y:$VERSION r.example/z:$VERSION; docker push r.example/z:$VERSION; docker push r.example/z",
        {"image": "r.example/z"},
    ),
    ("docker buildx build --push -t x/z:$VERSION -t x/z:latest .", {"image": "x/z"}),
    ("docker images", {"image": "x/y", "push": {"enabled": False}}),
]


@pytest.mark.parametrize(("command", "expected"), PUSHES)
def test_pushed_images(command: str, expected: dict[str, object]) -> None:
    table, _ = convert(f"sh 'docker build -t x/y:$VERSION .'\nsh '{command}'\n")

    assert table == expected


BUILDS = [
    (".", {}),
    ("-f deploy/Dockerfile .", {"dockerfile": "deploy/Dockerfile"}),
    ("./app", {"context": "app", "dockerfile": "app/Dockerfile"}),
    (". --no-cache --pull", {"no_cache": True, "pull": True}),
    ("--build-arg A=1 --build-arg B='x y' --target run $WORKSPACE", {"args": {"A": "1", "B": "x y"}, "target": "run"}),
    ("--cache-from x/y:latest .", {"cache_from": ["x/y:latest"]}),
]


@pytest.mark.parametrize(("options", "expected"), BUILDS)
def test_build_options(options: str, expected: dict[str, object]) -> None:
    table, notes = convert(f'sh """docker build -t x/y:$VERSION {options}"""\n')

    assert table.get("build", {}) == expected
    assert notes == {}


@pytest.mark.parametrize("options", ["../..", "--secret id=npm,src=.npmrc .", "-", "https://example.com/x.git#main"])
def test_build_options_that_are_told(options: str) -> None:
    table, notes = convert(f"sh 'docker build -t x/y:$VERSION {options}'\n")

    assert "context" not in table.get("build", {})
    assert "not carried over" in notes[1]


def test_run_of_another_image_is_not_the_app() -> None:
    text = """
sh 'docker build -t x/y:$VERSION .'
sh 'docker run -d --name db postgres:16'
sh 'docker run --rm x/y:$VERSION pytest'
sh 'docker run -d --name yy x/y:$VERSION'
sh 'docker run -d --name y2 x/y:$VERSION'
"""
    table, notes = convert(text)

    assert table["container"] == "yy"
    assert "it is not built here" in notes[3]
    assert "tests belong into the Dockerfile" in notes[4]
    assert "another docker run" in notes[6]
