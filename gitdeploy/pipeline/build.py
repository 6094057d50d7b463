"""From a commit to an image: an existing image of the same recipe, or a build from the tree's own stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gitdeploy.config.model import App
from gitdeploy.config.secretfile import read_secret
from gitdeploy.engine.types import BuildRequest, Image
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline import contextages
from gitdeploy.pipeline.again import again
from gitdeploy.pipeline.bases import Bases
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.imagenames import is_own
from gitdeploy.releases.release import APP, RECIPE, TREE, image_labels, recipe
from gitdeploy.source.commit import Commit
from gitdeploy.source.reader import RemoteRepository
from gitdeploy.terminal.console import Console


@dataclass(frozen=True)
class Candidate:
    """What is to become a release.

    Attributes:
        app: its configuration, with what the tree and the push say.
        name: the image's, which is gitdeploy's own.
        references: public ones, "repository:tag" each, :VERSION first; set when the image is published.
    """

    app: App
    commit: Commit
    version: str
    name: str
    references: tuple[str, ...]


def build(candidate: Candidate, repository: RemoteRepository, tools: Tools, stage: Running) -> Image:
    """Return the image of this tree: the one that exists if the same recipe was built before, else a new one."""
    app, commit, references = candidate.app, candidate.commit, candidate.references
    builder = tools.builder
    context = repository.context(
        commit,
        directory=app.build.context,
        dockerfile=app.build.dockerfile,
        lfs=tools.lfs(),
        submodules=tools.submodules(),
        limit=app.build.max_context,
    )
    dockerfile = context.content.decode("utf-8", "replace")
    bases = Bases(builder, dockerfile, app, tools.config.apps.values())
    made = recipe(commit.tree, app.build, bases.found)
    if not (app.build.no_cache or app.build.pull):
        found = builder.images({APP: app.name, RECIPE: made, TREE: commit.tree})
        for image in [image for image in found if is_own(image, app)][:1]:
            builder.tag(image.id, candidate.name)
            stage.note, stage.skipped = f"this tree is already built: {references[0]}", True
            return image
    request = _request(candidate, context.dockerfile, made, tools, bases.ask)

    def make() -> str:
        key = contextages.begin(app.name, commit, repository, context, tools)
        wanted = replace(request, shared_key=key, ended=lambda: tools.state.ages_known(app.name))
        return builder.build(wanted, context, tools.credentials(app), tools.console, stage.cancel)

    with tools.build_slot():
        image_id = again(make, tools.console, stage.cancel)
    built = builder.image(image_id)
    if built is None:
        raise StageFailed(
            f"the engine built {references[0]} and lost it at once ({image_id})", "was something pruned meanwhile?"
        )
    stage.note = f"{references[0]} ({context.files} files, {context.bytes / 1e6:.1f} MB sent)"
    return built


def _request(
    candidate: Candidate, dockerfile: str, made: str, tools: Tools, check_base: Callable[[str], object]
) -> BuildRequest:
    """Return what is asked of the builder. Takes the Dockerfile's path in the context, and the recipe. Raises UnfitError."""
    app, commit = candidate.app, candidate.commit
    labels = image_labels(app, commit=commit.id, version=candidate.version, tree=commit.tree, recipe=made, now=tools.now())
    facts = tools.builder.info()
    tools.require_space(facts)
    return BuildRequest(
        dockerfile=dockerfile,
        tags=(candidate.name,),
        target=app.build.target,
        args={**tools.proxies(), **app.build.args},
        labels=labels,
        secrets=build_secrets(app, tools.console),
        cache_from=app.build.cache_from,
        inline_cache=app.build.inline_cache,
        no_cache=app.build.no_cache,
        pull=app.build.pull,
        engine=app.build.engine,
        timeout=app.build.timeout,
        cache=tools.cache_name(app),
        check_base=check_base,
        guard=lambda: tools.require_space(facts),
    )


def build_secrets(app: App, console: Console) -> Mapping[str, bytes]:
    """Return the contents of the app's build secrets; from now on the console hides them."""
    values = {name: read_secret(path, f'apps."{app.name}".build.secrets.{name}') for name, path in app.build.secrets.items()}
    console.redact.add(value.decode("utf-8", "replace") for value in values.values())
    return values
