"""`docker build`, `docker tag` and `docker push` as keys of an app's table. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from gitdeploy.config.imagereference import HUB, registry
from gitdeploy.config.problems import quoted
from gitdeploy.jenkinsfile.dockercli import Parsed
from gitdeploy.jenkinsfile.draft import Draft
from gitdeploy.jenkinsfile.parameters import VERSION
from gitdeploy.jenkinsfile.steps import BUILT

_FLAGS = {"no-cache": "build.no_cache", "pull": "build.pull"}
_LEFT_OUT = ("quiet", "rm", "force-rm", "compress", "load", "progress", "push", "tag", "file", "build-arg")


@dataclass(frozen=True)
class NamedImage:
    """An image as a command names it in `line`; "latest" where it names no tag."""

    repository: str
    tag: str
    line: int


class ImageSteps:
    """The images that a pipeline builds, tags and pushes."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._made: list[NamedImage] = []
        self._pushed: list[NamedImage] = []
        self._registry = ""

    @property
    def built(self) -> bool:
        """Whether it builds or pushes any."""
        return bool(self._made or self._pushed)

    def owns(self, image: str) -> bool:
        """Return whether this is one of them, as far as one can tell."""
        repository = _split(image)[0]
        return not self.built or "$" in repository or repository in {ref.repository for ref in [*self._made, *self._pushed]}

    def take_build(self, line: int, parsed: Parsed) -> None:
        """Carry over a `docker build`."""
        draft = self._draft
        for tag in parsed.all("tag"):
            self._made.append(NamedImage(*_split(tag), line))
            if parsed.all("push"):
                self.take_push(line, tag)
        self._take_paths(line, parsed.rest[-1] if parsed.rest else ".", parsed.last("file"))
        for argument in parsed.all("build-arg"):
            name, equals, value = argument.partition("=")
            if equals:
                draft.put(line, "build.args", name, value, f"--build-arg {name}=…")
            else:
                draft.note(line, f"--build-arg {name}: takes its value from Jenkins' own environment: set it in build.args")
        for name, value in parsed.options:
            self._take_option(line, name, value)

    def _take_paths(self, line: int, context: str, file: str) -> None:
        if context == "-" or "://" in context or context.startswith("git@"):
            text = "gitdeploy builds the pushed tree: set build.context to a directory in it"
            self._draft.note(line, f"docker build of {context}: not carried over: {text}")
            return
        directory = PurePosixPath(context)
        dockerfile = PurePosixPath(file) if file else directory / "Dockerfile"
        for key, path, default in (("build.context", directory, "."), ("build.dockerfile", dockerfile, "Dockerfile")):
            if str(path) != default:
                self._draft.set(line, key, str(path), f"docker build: {path}")

    def _take_option(self, line: int, name: str, value: str) -> None:
        if name in _FLAGS and value in ("true", "1"):
            self._draft.set(line, _FLAGS[name], True)
        elif name == "target":
            self._draft.set(line, "build.target", value, f"--target {value}")
        elif name == "cache-from":
            self._draft.add(line, "build.cache_from", value, f"--cache-from {value}")
        elif name == "secret":
            text = "name the file on the server in build.secrets: ID = PATH"
            self._draft.note(line, f"--secret {value}: not carried over: {text}")
        elif name not in _LEFT_OUT and name not in _FLAGS:
            self._draft.note(line, f"--{name} {value}: not carried over: gitdeploy has no key for it")

    def take_tag(self, line: int, new: str) -> None:
        """Take the new name of a `docker tag`."""
        self._made.append(NamedImage(*_split(new), line))

    def take_push(self, line: int, image: str) -> None:
        """Take what a `docker push` names; see `steps.BUILT`."""
        if not image.startswith(BUILT):
            self._pushed.append(NamedImage(*_split(image), line))
        elif self._made:
            last = self._made[-1]
            self._pushed.append(NamedImage(last.repository, image.removeprefix(BUILT) or last.tag, line))

    def take_registry(self, line: int, url: str, credentials: str) -> None:
        """Take docker.withRegistry(url, credentials)."""
        host = re.sub(r"^\w+://", "", url).partition("/")[0]
        self._registry = "" if host == HUB or host.endswith(f".{HUB}") else host
        self.tell_login(line, credentials)

    def tell_login(self, line: int, credentials: str = "") -> None:
        """Say where the login of a registry goes."""
        known = f" ({quoted(credentials)})" if credentials and "$" not in credentials else ""
        text = "run `docker login` as the user that runs gitdeploy, or name a file in push.auth_file"
        self._draft.note(line, f"the login of the registry{known} stays in Jenkins: {text}")

    def finish(self, ran: str, line: int) -> None:
        """Decides on `image` and `push`; `ran` is what the container runs, "" if there is none, started in `line`."""
        draft = self._draft
        refs = self._pushed or ([NamedImage(*_split(ran), line)] if ran else []) or self._made
        if not refs:
            return
        chosen = refs[0]
        prefix = f"{self._registry}/" if self._registry and registry(chosen.repository) == HUB else ""
        draft.set(chosen.line, "image", f"{prefix}{chosen.repository}", f"the image {chosen.repository}")
        for other in {ref.repository: ref for ref in refs if ref.repository != chosen.repository}.values():
            draft.note(other.line, f"the image {other.repository}: not carried over: one app has one image")
        if VERSION not in {ref.tag for ref in [*refs, *self._made]}:
            draft.note(chosen.line, "releases bear the version in the first line of the tree's file VERSION: add one")
        if not self._pushed:
            draft.set(chosen.line, "push.enabled", False)
            return
        tags = [ref for ref in self._pushed if ref.repository == chosen.repository]
        for ref in tags:
            if ref.tag not in (VERSION, "latest"):
                text = "a release bears the version from the file VERSION, and push.tags can add others"
                draft.note(ref.line, f"the tag {quoted(ref.tag)}: not carried over: {text}")
        found = [tag for tag in (VERSION, "latest") if tag in {ref.tag for ref in tags}]
        if found == [VERSION]:
            draft.set(tags[0].line, "push.tags", found)


def _split(text: str) -> tuple[str, str]:
    """Return repository and tag or digest, "latest" where none is given; in either there may be placeholders. Pure."""
    named, _, digest = text.partition("@")
    repository, colon, tag = named.rpartition(":")
    plain = not colon or "/" in tag
    return (named if plain else repository), digest or ("latest" if plain else tag)
