"""The data path of a deployment, top to bottom: Verify signature, Checkout, Read VERSION, Build, Push, Verify, Deploy.

Push and Deploy overlap: while the image goes to the registry the strategy prepares the new containers, and it waits for the
push before it switches. Where a program judges the image (`verify`), nothing of it is made before that has let it pass.
Whatever fails before the switch leaves the running release untouched.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gitdeploy.config import snapshot
from gitdeploy.config.document import MAX_TREE
from gitdeploy.config.load import apply_options, apply_tree
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import parse_env_file, read_secret
from gitdeploy.engine.types import Image
from gitdeploy.errors import NothingToDo, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.build import Candidate, build, build_secrets
from gitdeploy.pipeline.gate import judged_image, run_gate
from gitdeploy.pipeline.journal import Running
from gitdeploy.pipeline.publish import publish_release
from gitdeploy.pipeline.signatures import require_signature
from gitdeploy.pipeline.tools import Tools
from gitdeploy.pipeline.version import read_version
from gitdeploy.releases.imagenames import own_name, public_references
from gitdeploy.releases.publictags import require_claims
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import Release, label_problem
from gitdeploy.releases.retention import find_image
from gitdeploy.releases.state import State
from gitdeploy.source.commit import Commit
from gitdeploy.source.reader import Repository
from gitdeploy.targets.docker.ownership import require_own
from gitdeploy.targets.docker.rollout import STRATEGIES
from gitdeploy.targets.docker.rollout.context import Outcome, Rollout
from gitdeploy.terminal.console import Console

TREE_CONFIG = "gitdeploy.toml"
MAX_VERSION = 64_000


@dataclass(frozen=True)
class Job:
    """One deployment to do.

    Attributes:
        deployment: its id in state.db.
        app: the server's configuration of the app.
        repository: the bare repository.
        ref: the ref that was pushed, "" for a rollback.
        commit: what to deploy, a full id.
        options: push options.
    """

    deployment: int
    app: App
    repository: Path
    ref: str
    commit: str
    options: tuple[str, ...] = ()


def deploy(job: Job, tools: Tools) -> Outcome:
    """Deploys one commit.

    Raises:
        GitdeployError: what failed, with its stage; the old release serves unless the error says otherwise.
        NothingToDo: nothing is to be done.
    """
    journal = tools.journal
    with ThreadPoolExecutor(2, "deploy") as pool, tools.open_repository(job.repository) as repository:
        pool.submit(tools.engine)  # connecting imports docker: that need not wait for git
        signed_tree = require_signer(job, tools, repository)
        with journal.stage("Checkout") as stage:
            commit, app = checkout(job, tools, repository, stage)
            if signed_tree not in ("", commit.tree):
                raise StageFailed(f"commit {commit.id} changed while it was read", "the repository is being tampered with")
        with journal.stage("Read VERSION") as stage:
            version = read_version(repository.read_file(commit, "VERSION", MAX_VERSION))
            _record(tools, job, version=version, tree=commit.tree, config=snapshot.dump(app))
            require_new_version(app, version, commit, tools.state)
            stage.note = version
        name = own_name(app.name, job.deployment, commit.tree)
        candidate = Candidate(app, commit, version, name, public_references(app, version, commit.id, job.ref))
        with journal.stage("Build") as stage:
            require_own(tools.engine(), app, job.app, tools.here)
            require_claims(tools.engine(), app, candidate.references)
            image = build(candidate, repository, tools, stage)
            _record(tools, job, image=image.id)
        release = Release(job.deployment, app, version, commit.id, image.id)
        halt = CancelFlag(tools.cancel)
        begun = threading.Event()
        pushed = pool.submit(publish_release, release, candidate.references, tools, halt, begun=begun)
        begun.wait(1.0)  # so that the pusher reads Push before Deploy
        try:
            judge(release, image, tools, pushed)
            return roll_out(release, image, tools, pushed)
        except BaseException:
            halt.set("failed")  # no use to push on what will not run
            raise


def roll_back(job: Job, target: Deployment, tools: Tools) -> Outcome:
    """Brings an earlier release live again from its kept image: no build, no push, so it works without a registry.

    Where the engine has lost the image, it is pulled by the digest that the registry gave it.

    Raises:
        GitdeployError: its image or configuration is gone, or it did not get healthy.
    """
    with tools.journal.stage("Find release") as stage:
        app = snapshot.load(target.config)
        if app and job.app.require_signed and not app.require_signed:
            reason = f"deployment {target.id} ran before require_signed was asked for: nobody looked at its signature"
            raise StageFailed(reason, f"if it is signed: gitdeploy deploy {target.app} {target.commit_id[:12]}")
        image = find_image(tools.engine(), app, target, partial(_pull, app, tools)) if app else None
        if app is None or image is None:
            lost = "image is no longer on the engine" if app else "configuration is not known"
            reason = f"{target.app} {target.version} (deployment {target.id}) cannot run again: its {lost}"
            raise StageFailed(reason, "`gitdeploy history` lists the releases; `gitdeploy deploy APP REF` builds one again")
        app = replace(app, adopt=job.app.adopt)  # that is for the server to say now, not for what it said then
        require_own(tools.engine(), app, job.app, tools.here)
        tools.engine().tag(image.id, own_name(app.name, job.deployment, target.tree))
        _record(tools, job, version=target.version, tree=target.tree, image=image.id, config=target.config)
        _record(tools, job, commit_id=target.commit_id, digest=target.digest, strategy=app.strategy)
        stage.note = f"{target.version} of deployment {target.id}"
    done: Future[str] = Future()
    done.set_result("")
    release = Release(job.deployment, app, target.version, target.commit_id, image.id)
    return roll_out(release, image, tools, done, reuse=target.id)


def require_signer(job: Job, tools: Tools, repository: Repository) -> str:
    """The tree of the commit if one of the server's keys signed for it, "" where nobody asks. Raises StageFailed."""
    rule = job.app.require_signed
    if not rule:
        return ""
    with tools.journal.stage("Verify signature") as stage:
        accepted = require_signature(rule, repository, job.commit, job.ref)
        stage.note = accepted.signer
    return accepted.tree


def _pull(app: App, tools: Tools, ref: str) -> str:
    tools.console.line(f"the engine has lost this image: pulling {ref}")
    return tools.engine().pull(ref, tools.credentials(app), tools.console, tools.cancel)


def checkout(job: Job, tools: Tools, repository: Repository, stage: Running) -> tuple[Commit, App]:
    """The commit, and the app's configuration with what the tree and the push options say."""
    commit = repository.resolve(job.commit)
    tree_config = repository.read_file(commit, TREE_CONFIG, MAX_TREE)
    app = job.app
    if tree_config is not None:
        app = apply_tree(tools.config, app, tree_config, f"{TREE_CONFIG} ({commit.id[:12]})")
    app, skip = apply_options(app, job.options)
    if skip:
        raise NothingToDo("the push asked to skip it (gitdeploy.skip)")
    tools.console.full = app.build.output == "full"
    _record(tools, job, commit_id=commit.id, subject=commit.subject, strategy=app.strategy)
    stage.note = f"{commit.id[:12]} {commit.subject}"
    return commit, app


def require_new_version(app: App, version: str, commit: Commit, state: State) -> None:
    """Holds `push.on_reused_version` when VERSION was already released from another tree."""
    policy = app.push.on_reused_version
    other = state.released(app.name, version)
    if other is None or other.tree == commit.tree or policy == "overwrite":
        return
    found = f"VERSION {version} was already released from other files (deployment {other.id}, commit {other.commit_id[:12]})"
    if policy == "skip":
        raise NothingToDo(f'{found}, and push.on_reused_version is "skip"')
    raise StageFailed(found, 'raise VERSION, commit and push; or set push.on_reused_version to "overwrite"')


def environment(app: App, console: Console) -> Mapping[str, str]:
    """The container's environment: `env`, with `env_file` over it; the file's values are hidden from the console."""
    if app.env_file is None:
        return app.env
    secret = parse_env_file(read_secret(app.env_file, f'apps."{app.name}".env_file'), app.env_file)
    console.redact.add(secret.values())
    return {**app.env, **secret}


def judge(release: Release, image: Image, tools: Tools, pushed: Future[str]) -> None:
    """Lets the server's own program judge the image, if there is one. Raises StageFailed, Cancelled, or why the push failed."""
    app = release.app
    if not app.verify:
        return
    digest = pushed.result()
    with tools.journal.stage("Verify") as stage:
        environment(app, tools.console)  # so that the console hides their values
        build_secrets(app, tools.console)
        current = tools.engine().image(image.id) or image  # its digest is known since the push
        stage.note = f"{run_gate(app, judged_image(app, current, digest), tools.console, tools.cancel)} let it pass"


def roll_out(release: Release, image: Image, tools: Tools, pushed: Future[str], reuse: int = 0) -> Outcome:
    """Lets the app's strategy bring the release live; `reuse` is the release that is rolled back to, 0 for none."""
    with tools.journal.stage("Deploy") as stage:
        if problem := label_problem(release.app, image.labels):
            raise StageFailed(problem, "take that LABEL out of the Dockerfile, or use another base image")
        rollout = Rollout(
            release=release,
            image=image,
            engine=tools.engine(),
            output=tools.console,
            cancel=tools.cancel,
            clock=tools.clock,
            published=pushed.result,
            credentials=tools.credentials(release.app),
            env=environment(release.app, tools.console),
            reuse=reuse,
        )
        outcome = STRATEGIES[release.app.strategy](rollout)
        stage.note = outcome.note or release.app.strategy
        return outcome


def _record(tools: Tools, job: Job, **values: object) -> None:
    tools.state.update(job.deployment, **values)
