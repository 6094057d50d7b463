"""The steps of a deployment: Verify signature, Checkout, Read VERSION, Build, Push, Verify, Deploy; its tasks; a rollback.

Push and Deploy overlap: while the image goes to the registry the strategy prepares the new release, and it waits for the push
before it switches. Where a program judges the image (`verify`), nothing of it is made before that has let it pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

from gitdeploy.config import snapshot
from gitdeploy.config.checks import processes
from gitdeploy.config.document import MAX_TREE
from gitdeploy.config.load import apply_options, apply_tree
from gitdeploy.config.model import App
from gitdeploy.config.procfile import FILE as PROCFILE
from gitdeploy.config.procfile import MAX_PROCFILE, complete, lacking
from gitdeploy.config.scale import scaled
from gitdeploy.errors import NothingToDo, StageFailed
from gitdeploy.pipeline import attributes
from gitdeploy.pipeline.build import Candidate, build, build_secrets
from gitdeploy.pipeline.environment import environment
from gitdeploy.pipeline.findrelease import find_release
from gitdeploy.pipeline.gate import judged_image, run_gate
from gitdeploy.pipeline.plan import Deadline, Running, Step, follow
from gitdeploy.pipeline.publish import publish_release
from gitdeploy.pipeline.routes import admitted, routes
from gitdeploy.pipeline.signatures import require_signature
from gitdeploy.pipeline.tasks import left_tasks, tasks
from gitdeploy.pipeline.tools import Tools
from gitdeploy.pipeline.upkeep import bring_up_accessories
from gitdeploy.pipeline.version import read_version
from gitdeploy.pipeline.way import Way
from gitdeploy.releases.imagenames import own_name, public_references
from gitdeploy.releases.publictags import require_claims
from gitdeploy.releases.release import Release
from gitdeploy.releases.state import State
from gitdeploy.source.commit import Commit
from gitdeploy.targets.target import Incoming, Outcome

TREE_CONFIG = "gitdeploy.toml"
MAX_VERSION = 64_000


def deploy(tools: Tools) -> Outcome:
    """Bring a commit live, or, where the job names one, a release that ran before.

    Raises:
        GitdeployError: what failed, with its step; the old release serves unless the error says otherwise.
        NothingToDo: nothing is to be done.
    """
    job = tools.job
    with ThreadPoolExecutor(1, "connect") as pool:
        pool.submit(_make_ready, tools)
        with nullcontext() if job.release else tools.open_repository() as repository:
            way = Way(tools, repository)
            follow(plan(way), way)
            return way.outcome


def _make_ready(tools: Tools) -> None:
    """Connect, which imports docker, and import what a build needs: neither has to wait for git."""
    builder = tools.builder
    if not tools.job.release:
        builder.warm()


def plan(way: Way) -> Iterator[Step[Way]]:
    """Yield the steps that bring a commit live, or a release that ran before; those behind Build go by what was found so far.

    Nothing of the image runs before `verify` has let it pass: with tests it is judged where it was built, else once pushed.
    """
    job = way.tools.job
    go_live = Step("Deploy", roll_out, deadline=_deploy_deadline)
    if job.release:  # from the kept image: no build, no push, so it works without a registry; and no task runs again
        yield Step("Find release", find_release)
        yield from left_tasks(way)
        yield go_live
        yield from routes(way)
        return
    if job.app.require_signed:
        yield Step("Verify signature", require_signer)
    yield from (Step("Checkout", checkout), Step("Read VERSION", name_version), Step("Build", build_image))
    yield from left_tasks(way)
    beside = [Step("Accessories", bring_up_accessories)] if way.app.accessories else []
    judged = [Step("Verify", judge)] if job.app.verify else []
    if tests := tasks(way.app, "after-build"):
        yield from (*judged, *beside, *tests)
    yield Step("Push", push, deadline=_push_deadline, beside=True)
    yield from () if tests else (*judged, *beside)
    yield from tasks(way.app, "before-switch")
    yield go_live
    yield from routes(way)
    yield from tasks(way.app, "after-switch")


def require_signer(way: Way, stage: Running) -> None:
    """Require that one of the server's keys signed for the commit. Raises StageFailed."""
    job = way.tools.job
    assert job.app.require_signed
    accepted = require_signature(job.app.require_signed, way.files, job.commit, job.ref)
    way.signed_tree, stage.note = accepted.tree, accepted.signer


def checkout(way: Way, stage: Running) -> None:
    """Find the commit, and the app's configuration with what the tree and the push options say."""
    tools, job = way.tools, way.tools.job
    commit = way.files.resolve(job.commit)
    tree_config = way.files.read_file(commit, TREE_CONFIG, MAX_TREE)
    app = job.app
    if tree_config is not None:
        app = apply_tree(tools.config, app, tree_config, f"{TREE_CONFIG} ({commit.id[:12]})")
    app, skip = apply_options(app, job.options)
    if skip:
        raise NothingToDo("the push asked to skip it (gitdeploy.skip)")
    if way.signed_tree not in ("", commit.tree):
        raise StageFailed(f"commit {commit.id} changed while it was read", "the repository is being tampered with")
    if lacking(app):
        procfile = way.files.read_file(commit, PROCFILE, MAX_PROCFILE)
        app = complete(app, procfile, f"{PROCFILE} ({commit.id[:12]})")
    app = _as_scaled(app, tools)
    tools.console.full = app.build.output == "full"
    way.app, way.commit = app, commit
    way.record(commit_id=commit.id, subject=commit.subject, strategy=app.strategy)
    _tell_attributes(way, commit)
    stage.note = f"{commit.id[:12]} {commit.subject}"


def _as_scaled(app: App, tools: Tools) -> App:
    """Return the app with as many replicas as `gitdeploy scale` said, and tell of that."""
    changed = scaled(app, tools.state.scales(app.name))
    for now, before in zip(processes(changed), processes(app), strict=True):
        if now.replicas != before.replicas:
            tools.console.line(f"    {now.process}: {now.replicas} replicas in place of {before.replicas} (gitdeploy scale)")
    return changed


def _tell_attributes(way: Way, commit: Commit) -> None:
    """Tell what .gitattributes asks for in vain; one that cannot be read is no failure, for nothing depends on it."""
    with suppress(StageFailed):
        asked = attributes.not_applied(way.files.read_file(commit, attributes.FILE, attributes.MAX_SIZE) or b"")
        if asked:
            found = ", ".join(asked[:5])
            way.tools.console.line(
                f"note: {attributes.FILE} asks for {found}: files are built as Git stores them, without that"
            )


def name_version(way: Way, stage: Running) -> None:
    """Read VERSION, which names the release."""
    tools, job, app, commit = way.tools, way.tools.job, way.app, way.commit
    version = read_version(way.files.read_file(commit, app.version_file, MAX_VERSION), app.version_file)
    config = snapshot.dump(app)
    if way.recorded.config != config:
        way.record(digest="")  # what an earlier attempt has pushed may have gone elsewhere
    way.record(version=version, tree=commit.tree, config=config)
    require_new_version(app, version, commit, tools.state)
    name = own_name(app.name, job.deployment, commit.tree)
    way.candidate = Candidate(app, commit, version, name, public_references(app, version, commit.id, job.ref))
    stage.note = version


def build_image(way: Way, stage: Running) -> None:
    """Make the image, or find the one that was made of this tree before."""
    tools, app = way.tools, way.app
    tools.target.require_fit(app, tools.job.app)
    tools.edge.require_fit(app)
    require_claims(tools.builder, app, way.candidate.references, tools.target.used_by_others)
    way.image = build(way.candidate, way.files, tools, stage)
    if way.recorded.image != way.image.id:
        way.record(image=way.image.id, digest="")
    way.release = Release(tools.job.deployment, app, way.candidate.version, way.commit.id, way.image.id)


def push(way: Way, stage: Running) -> None:
    """Give the image its public tags, and push them; an attempt that was cut off after that has recorded the digest."""
    if pushed := way.recorded.digest:
        stage.note, stage.skipped = f"{pushed[:19]} is in the registry since an earlier attempt", True
    else:
        way.record(digest=publish_release(way.release, way.candidate.references, way.tools, stage))


def judge(way: Way, stage: Running) -> None:
    """Let the server's own program judge the image. Raises StageFailed, Cancelled, or why the push failed."""
    tools, app = way.tools, way.app
    way.await_step("Push")
    environment(app, tools)  # so that the console hides their values
    build_secrets(app, tools.console)
    current = tools.builder.image(way.image.id) or way.image  # its digest is known since the push
    image = judged_image(app, current, way.recorded.digest)
    stage.note = f"{run_gate(app, image, tools.console, stage.cancel)} let it pass"


def roll_out(way: Way, stage: Running) -> None:
    """Let the app's strategy bring the release live."""
    tools, app = way.tools, way.app
    way.require_plain_image()
    if tools.state.stopped(app.name):
        _bring_back(tools, app)
    with admitted(way) as serves:
        way.outcome = tools.target.bring_live(
            Incoming(
                release=way.release,
                image=way.image,
                env=environment(app, tools),
                output=tools.console,
                cancel=stage.cancel,
                published=lambda: way.await_step("Push"),
                reuse=tools.job.release,
                serves=serves,
            )
        )
    stage.note = way.outcome.note or app.strategy


def _bring_back(tools: Tools, app: App) -> None:
    """Bring what `gitdeploy stop` took out of service back first: a strategy takes over from what serves."""
    tools.console.line(f"{app.name} was out of service (gitdeploy stop): it is brought back")
    live = tools.state.live(app.name)
    tools.target.bring_back((snapshot.load(live.config) if live else None) or app, tools.console)
    tools.state.set_stopped(app.name, None)


def require_new_version(app: App, version: str, commit: Commit, state: State) -> None:
    """Hold `push.on_reused_version` when VERSION was already released from another tree."""
    policy = app.push.on_reused_version
    other = state.released(app.name, version)
    if other is None or other.tree == commit.tree or policy == "overwrite":
        return
    found = f"VERSION {version} was already released from other files (deployment {other.id}, commit {other.commit_id[:12]})"
    if policy == "skip":
        raise NothingToDo(f'{found}, and push.on_reused_version is "skip"')
    raise StageFailed(found, 'raise VERSION, commit and push; or set push.on_reused_version to "overwrite"')


def _push_deadline(way: Way) -> Deadline:
    return Deadline(way.app.push.timeout, "push.timeout", "is the registry slow? raise push.timeout")


def _deploy_deadline(way: Way) -> Deadline:
    seconds = way.app.push.timeout + way.tools.target.patience(way.app)
    return Deadline(seconds, "all its own waits together", "does the engine hang? look at its log")
