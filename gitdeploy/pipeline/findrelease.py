"""The step of a rollback that takes the place of all before Deploy: finding what ran before."""

from __future__ import annotations

from dataclasses import replace

from gitdeploy.config import snapshot
from gitdeploy.config.scale import scaled
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.tasks import SHOWN, migrations_since
from gitdeploy.pipeline.upkeep import with_accessories_of_now
from gitdeploy.pipeline.way import Way
from gitdeploy.releases.imagenames import own_name
from gitdeploy.releases.release import Release
from gitdeploy.releases.retention import find_image


def find_release(way: Way, stage: Running) -> None:
    """Find the image and configuration of the release to roll back to.

    Where the engine has lost the image, it is pulled by the digest that the registry gave it.
    """
    tools, job = way.tools, way.tools.job
    target = tools.state.deployment(job.release)
    if target is None or target.app != job.app.name:
        raise StageFailed(f"{job.app.name} has no deployment {job.release}", "see `gitdeploy history`")
    app = snapshot.load(target.config)
    if app and job.app.require_signed and not app.require_signed:
        reason = f"deployment {target.id} ran before require_signed was asked for: nobody looked at its signature"
        raise StageFailed(reason, f"if it is signed: gitdeploy deploy {target.app} {target.commit_id[:12]}")

    def pull(reference: str) -> str:
        tools.console.line(f"the engine has lost this image: pulling {reference}")
        return tools.builder.pull(reference, tools.credentials(app or job.app), tools.console, stage.cancel)

    image = find_image(tools.builder, app, target, pull) if app else None
    if app is None or image is None:
        lost = "image is no longer on the engine" if app else "configuration is not known"
        reason = f"{target.app} {target.version} (deployment {target.id}) cannot run again: its {lost}"
        raise StageFailed(reason, "`gitdeploy history` lists the releases; `gitdeploy deploy APP REF` builds one again")
    config, accessories = target.config, app.accessories
    app = with_accessories_of_now(app, job.app, tools.console)
    scales = tools.state.scales(app.name)
    if scales or accessories != app.accessories:
        app = scaled(app, scales)
        config = snapshot.dump(app)
    app = replace(app, adopt=job.app.adopt)  # that is for the server to say now, not for what it said then
    tools.target.require_fit(app, job.app)
    tools.builder.tag(image.id, own_name(app.name, job.deployment, target.tree))
    way.record(version=target.version, tree=target.tree, image=image.id, config=config)
    way.record(commit_id=target.commit_id, digest=target.digest, strategy=app.strategy)
    ran = tools.state.tasks_since(app.name, target.id, "before-switch")
    rows = {record.deployment: tools.state.deployment(record.deployment) for record in ran[-SHOWN:]}
    if told := migrations_since(ran, {number: row.version for number, row in rows.items() if row}):
        tools.console.line(f"    {told}")
    way.app, way.image = app, image
    way.release = Release(job.deployment, app, target.version, target.commit_id, image.id)
    stage.note = f"{target.version} of deployment {target.id}"
