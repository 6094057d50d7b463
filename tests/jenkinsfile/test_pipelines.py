"""Whole pipelines, their variables and steps, become an app's table; what cannot be carried over is told."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gitdeploy.config.load import parse_config
from gitdeploy.errors import UsageError
from gitdeploy.jenkinsfile.convert import Converter
from tests.jenkinsfile.reading import convert, run_only

SEED = Path(__file__).parent / "Jenkinsfile"

SCRIPTED = """\
#!groovy
def image
def name = "web" + '-app'
node('docker') {
    checkout([$class: 'GitSCM', branches: [[name: '*/release']], userRemoteConfigs: [[url: 'git@gogs:team/web.git']]])
    stage('Build') {
        image = docker.build("team/${name}:${env.BUILD_NUMBER}", "--target runtime -f docker/Dockerfile.prod ./docker")
    }
    stage('Test') { image.inside { sh 'pytest' } }
    stage('Push') {
        docker.withRegistry('https://registry.example:5000', 'reg-login') {
            image.push("${env.BUILD_NUMBER}")
            image.push('latest')
        }
    }
    stage('Deploy') {
        sh(script: "docker rm -f ${name} || true", returnStatus: true)
        docker.image("team/${name}").run("-p 80:8000 --name ${name} --env-file /etc/web.env")
        sh "docker run -d --name redis redis:7"
    }
}
"""


def test_declarative_pipeline() -> None:
    converted = Converter(SEED.read_text()).convert()

    assert converted.app == "devops/dev-app"
    assert tomllib.loads(converted.toml) == {
        "apps": {
            "devops/dev-app": {
                "image": "6ain/dev-app",
                "container": "dev-app",
                "publish": ["8080:80"],
                "build": {"args": {"PY": "3.12"}},
                "env": {"GREETING": "hello world"},
                "volumes": ["/srv/dev-app:/data:ro"],
                "networks": ["backend"],
                "restart": "always",
                "run": {"memory": "512MiB"},
            }
        }
    }
    assert list(parse_config(converted.toml.encode(), Path("config.toml")).apps) == ["devops/dev-app"]
    lines = SEED.read_text().splitlines()
    expected = {
        "mvn -B test": '"mvn -B test": not carried over',
        "--build-arg GIT": "--build-arg GIT=…: not carried over, for the value does not stand in the Jenkinsfile",
        "docker login": "the login of the registry stays in Jenkins",
        "docker run": 'DB_PASSWORD comes from Jenkins\' credentials "db-password"',
        "mail to:": "[notify] in config.toml",
    }
    found = {note.line: note.text for note in converted.notes}
    assert [next(words for words in expected if words in lines[line - 1]) for line in found] == list(expected)
    assert all(text in note for text, note in zip(expected.values(), found.values(), strict=True))


def test_scripted_pipeline() -> None:
    converted = Converter(SCRIPTED).convert()

    assert converted.app == "team/web"
    assert tomllib.loads(converted.toml)["apps"]["team/web"] == {
        "image": "registry.example:5000/team/web-app",
        "container": "web-app",
        "branch": ["release"],
        "publish": ["80:8000"],
        "build": {"context": "docker", "dockerfile": "docker/Dockerfile.prod", "target": "runtime"},
        "env_file": "/etc/web.env",
        "accessories": {"redis": {"image": "redis:7"}},
    }
    notes = "".join(f"{note.line}: {note.text}\n" for note in converted.notes)
    assert '11: the login of the registry ("reg-login") stays in Jenkins' in notes
    assert '12: the tag "${env.BUILD_NUMBER}": not carried over' in notes
    assert '19: docker run of "redis:7": an accessory' in notes
    assert "file VERSION: add one" in notes


SECRETS = [
    "environment { TOKEN = credentials('the-id') }",
    "withCredentials([string(credentialsId: 'the-id', variable: 'TOKEN')]) {}",
    "withCredentials([usernamePassword(usernameVariable: 'U', passwordVariable: 'TOKEN', credentialsId: 'the-id')]) {}",
]


@pytest.mark.parametrize("before", SECRETS)
def test_secrets_stay_out(before: str) -> None:
    table, notes = run_only('-e TOKEN="$TOKEN"', before)

    assert table == {}
    assert 'TOKEN comes from Jenkins\' credentials "the-id"' in notes
    assert "env_file" in notes


VERSIONS = [
    "VERSION = readFile('VERSION').trim()",
    "VERSION = readFile(file: 'VERSION').trim()",
    'VERSION = sh(script: "cat VERSION", returnStdout: true).trim()',
    "environment { VERSION = \"${readFile('VERSION').trim()}\" }",
    "script { env.VERSION = readFile 'VERSION' }",
    "",
]


@pytest.mark.parametrize("before", VERSIONS)
def test_version_from_the_file(before: str) -> None:
    text = f"{before}\nsh 'docker build -t x/y:$VERSION .'\nsh 'docker push x/y:$VERSION; docker push x/y'\n"
    table, notes = convert(text)

    assert table == {"image": "x/y"}
    assert notes == {}


def test_version_that_the_shell_reads() -> None:
    table, notes = convert("sh '''\nV=$(cat VERSION)\nexport T=`head -n 1 < VERSION`\ndocker build -t x/y:$V -t x/y:$T .\n'''")

    assert table == {"image": "x/y", "push": {"enabled": False}}
    assert notes == {}


STEPS = ["parameters { }", "input 'go?'", "parallel { }", "build job: 'x'", "bat 'x'", "sshagent(['k']) { }", "load 'x.groovy'"]


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_are_told(step: str) -> None:
    _, notes = convert(f"sh 'docker build -t x/y:$VERSION .'\n\n{step}\n")

    assert list(notes) == [3]
    assert notes[3].startswith(step.replace("(", " ").partition(" ")[0] + ": ")


def test_default_of_a_parameter_is_taken() -> None:
    parameter = "parameters { string(name: 'PORT', defaultValue: '8080', description: 'x') }"
    table, notes = run_only("-p ${params.PORT}:80 -p $PORT:80", parameter)

    assert table == {"publish": ["8080:80"]}
    assert "their defaults were taken" in notes


def test_comments_are_not_read() -> None:
    text = "/* sh 'docker run -d --name no x/y' */ // sh 'docker run -d --name no x/y'\n"
    table, _ = convert(f"{text}sh '''\n  # docker run -d --name no x/y\n  docker run -d --name yes x/y # --name no\n'''\n")

    assert table["container"] == "yes"


def test_branches() -> None:
    build = "sh 'docker build -t x/y:$VERSION .'\n"

    assert "branch" not in convert(f"{build}when {{ branch 'main' }}")[0]
    assert convert(f"{build}when {{ branch 'prod' }}\ngit url: 'http://x/a/b.git', branch: 'stage'")[0]["branch"] == [
        "prod",
        "stage",
    ]


def test_file_that_deploys_nothing() -> None:
    with pytest.raises(UsageError, match="neither `docker build` nor `docker run`"):
        Converter("pipeline { agent any }").convert()
