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
    (
        "--user 1000:1000 -w /srv -h web --init --stop-signal SIGQUIT --read-only --privileged --entrypoint /start",
        {
            "run": {
                **{"user": "1000:1000", "workdir": "/srv", "hostname": "web", "init": True, "stop_signal": "SIGQUIT"},
                **{"read_only": True, "privileged": True, "entrypoint": ["/start"]},
            }
        },
    ),
    (
        "--memory-swap -1 --memory-reservation 64m --shm-size 1g -c 512 --cpuset-cpus 0 --oom-score-adj -500",
        {
            "run": {
                **{"memory_swap": -1, "memory_reservation": "64MiB", "shm_size": "1GiB", "cpu_shares": 512, "cpuset": "0"},
                "oom_score_adj": -500,
            }
        },
    ),
    (
        "--ulimit nofile=1024:2048 --ulimit core=0 --sysctl net.core.somaxconn=9 -l a.b=c --cap-add NET_ADMIN --cap-drop ALL",
        {
            "run": {
                "ulimits": {"nofile": "1024:2048", "core": "0"},
                "sysctls": {"net.core.somaxconn": "9"},
                "labels": {"a.b": "c"},
                "cap_add": ["NET_ADMIN"],
                "cap_drop": ["ALL"],
            }
        },
    ),
    (
        "--security-opt no-new-privileges --security-opt apparmor:unconfined --device /dev/null --gpus 2 --group-add 44",
        {
            "run": {
                **{"no_new_privileges": True, "security_opt": ["apparmor=unconfined"], "devices": ["/dev/null"]},
                **{"gpus": "2", "group_add": ["44"]},
            }
        },
    ),
    (
        "--add-host db:10.0.0.5 --dns 10.0.0.2 --dns-search a.b --dns-opt ndots:2 --ipc private --pid host --userns host",
        {
            "run": {
                **{"extra_hosts": ["db:10.0.0.5"], "dns": ["10.0.0.2"], "dns_search": ["a.b"], "dns_options": ["ndots:2"]},
                **{"ipc": "private", "pid": "host", "userns": "host"},
            }
        },
    ),
    (
        "--network name=n,alias=a,ip=172.30.0.9 --network-alias b --mac-address 02:42:AC:1e:00:0a --runtime runsc",
        {
            "networks": ["n"],
            "run": {"network_aliases": ["a", "b"], "ip": "172.30.0.9", "mac_address": "02:42:AC:1e:00:0a", "runtime": "runsc"},
        },
    ),
    (
        "--tmpfs /run --mount type=tmpfs,target=/t,tmpfs-size=9 -v /a:/b:ro,z --mount type=volume,src=d,dst=/d,volume-nocopy",
        {"volumes": ["/a:/b:ro,z", "d:/d:nocopy"], "run": {"tmpfs": ["/run", "/t:size=9"]}},
    ),
    ("-p 8000-8002:9000-9002 -p 53:53/udp", {"publish": ["8000-8002:9000-9002", "53:53/udp"]}),
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
    ("--volumes-from db", "--volumes-from db: not carried over: a release shares no other container's volumes"),
    ("--link db:db", "--link db:db: not carried over: put both on a network"),
    ("--ipc container:db", "those of another container (container:…) are never shared"),
    ("--security-opt seccomp=profile.json", "--security-opt seccomp=profile.json: not carried over: expected"),
    ("--cgroup-parent x", "--cgroup-parent x: not carried over: gitdeploy has no key for it"),
    ("--mount type=volume,src=d,dst=/d,volume-opt=type=nfs", "make the volume once, by hand"),
    ("--memory 1.5g", "--memory 1.5g: not carried over"),
    ("--cpus all", "--cpus all: not carried over"),
    ("--pids-limit -1", "--pids-limit -1: not carried over"),
    ("--health-cmd 'curl x'", "HEALTHCHECK"),
    ("-e TOKEN", "--env TOKEN: takes its value from Jenkins' own environment"),
    ("-e N=$BUILD_NUMBER", "--env N=…: not carried over, for the value does not stand in the Jenkinsfile"),
    ("-e N=$(date +%s)", "--env N=…: not carried over, for the value does not stand in the Jenkinsfile"),
    ("--name $UNKNOWN", "--name $UNKNOWN: not carried over, for the value"),
    ("--stop-timeout ever", "--stop-timeout ever: not carried over"),
    ("--frobnicate x", "--frobnicate x: not carried over"),
]


@pytest.mark.parametrize(("options", "expected"), TOLD)
def test_options_that_are_told(options: str, expected: str) -> None:
    table, notes = run_only(options)

    assert table == {}
    assert expected in notes


def test_the_command_after_the_image() -> None:
    table, _ = convert("sh 'docker run -d a/b:$VERSION serve --port 80 \"a b\"'")

    assert table["run"] == {"command": ["serve", "--port", "80", "a b"]}


def test_a_command_whose_words_do_not_stand_there() -> None:
    table, notes = convert("sh 'docker run -d a/b:$VERSION serve $TOKEN'")

    assert "run" not in table
    assert "the command after the image: not carried over, for the value does not stand in the Jenkinsfile" in notes[1]


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


def test_runs_of_other_images_and_further_ones() -> None:
    text = """
sh 'docker build -t x/y:$VERSION .'
sh 'docker run -d --name yy-db --network y -v pgdata:/var/lib/postgresql/data -e POSTGRES_DB=y postgres:16 -c fsync=off'
sh 'docker run --rm x/y:$VERSION pytest'
sh 'docker push x/y:$VERSION'
stage('Database') { sh 'docker run --rm --memory 1g --env-file /etc/y.env x/y:$VERSION sh -c "a && b"' }
stage('Go live') { sh 'docker run -d --name yy --memory 2g -p 80:80 --restart always x/y:$VERSION' }
sh 'docker run -d --name y2 --restart always x/y:$VERSION'
sh 'docker run -d --name yy-mail --stop-timeout 60 --memory 2g -v mail:/mail x/y:$VERSION python -m mail'
sh 'docker run --rm x/y:$VERSION warm $HOST; docker run --rm alpine true; docker run -d --name $X redis'
stage('Warm up') { sh 'docker run --rm x/y:$VERSION warm' }
stage('Warm up') { sh 'docker run --rm x/y:$VERSION warm more' }
"""
    table, notes = convert(text)

    assert (table["container"], table["run"]) == ("yy", {"memory": "2GiB"})
    assert table["processes"] == {"mail": {"stop_timeout": 60, "command": "python -m mail"}}
    assert table["tasks"] == {
        "task": {"when": "after-build", "command": "pytest"},
        "database": {"when": "before-switch", "run": {"memory": "1GiB"}, "command": "sh -c 'a && b'"},
        "warm-up": {"when": "after-switch", "command": "warm"},
        "warm-up-2": {"when": "after-switch", "command": "warm more"},
    }
    assert table["accessories"].pop("redis") == {"image": "redis:latest"}
    assert table["accessories"] == {
        "db": {
            "image": "postgres:16",
            "volumes": ["pgdata:/var/lib/postgresql/data"],
            "env": {"POSTGRES_DB": "y"},
            "command": "-c fsync=off",
        }
    }
    assert "an accessory, which gets a container of its own" in notes.pop(3)
    assert "env_file: not carried over: /etc/y.env: all containers of an app have the same" in notes.pop(6)
    assert "another docker run" in notes.pop(8)
    assert "volumes: not carried over: mail:/mail" in notes.pop(9)
    for what in (
        "the command after the image: not carried over",
        'docker run --rm of "alpine": not carried over',
        "$X: not carried over",
    ):
        assert what in notes[10]
    del notes[10]
    assert not notes
