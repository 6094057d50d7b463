"""Kinds of values of this field: images, ports, mounts, names on the engine, paths, refs, tags. Pure.

Everything here ends up in an API call, a path or a router's configuration, so each kind admits what is known to be right
and nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from gitdeploy.config import appname
from gitdeploy.config import imagereference as reference
from gitdeploy.config.attachments import Volume
from gitdeploy.config.problems import BadValue
from gitdeploy.config.values import MAX_ITEMS, Kind, matching

APP_NAME = matching(appname.PATTERN, '"owner/repo" as in the repository\'s address')

IMAGE = matching(
    rf"(?=.{{1,255}}\Z){reference.REPOSITORY}",
    'an image in lower case without a tag (VERSION gives it), such as "6ain/dev-app" or "127.0.0.1:5000/dev-app"',
)
IMAGE_WITH_TAG = matching(
    rf"(?=.{{1,255}}\Z){reference.REPOSITORY}(?::{reference.TAG})?(?:@{reference.DIGEST})?",
    'an image such as "haproxy:3.0-alpine"',
)


def templated(kind: Kind[str], example: str) -> Kind[str]:
    """Return the same with {owner} and {repo} in it, so that `[defaults]` can name things for every app."""
    expected = f'{kind.expected}; in [defaults] with names to fill in, such as "{example}"'

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise BadValue(expected, value)
        try:
            kind.parse(fill_in(value, "xx/xx"))
        except BadValue:
            raise BadValue(expected, value) from None
        return value

    return Kind(expected, parse)


def or_none(kind: Kind[str]) -> Kind[str]:
    """Return the same, and "" for nothing."""
    return Kind(f'{kind.expected}; or ""', lambda value: "" if value == "" else kind.parse(value))


def fill_in(template: str, app: str) -> str:
    """`{owner}` and `{repo}` replaced by the two halves of the app's name."""
    owner, _, repo = app.partition("/")
    return template.replace("{owner}", owner).replace("{repo}", repo)


# github.com/moby/moby, daemon/names/names.go; 63 is what fits into one DNS label
INSTALLATION = matching("[0-9a-f]{16}", "the id of an installation, 16 hexadecimal digits (its installation-id)")
CONTAINER = matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}",
    "a container name: 2 to 63 letters, digits, '_', '.' or '-', a letter or digit first",
)
NETWORK = matching(
    r"(?!(?:host|none|default)\Z)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}",
    "the name of a Docker network (host and none are refused: the container could not be told from others)",
)
CONSTRAINT = matching(
    r"(?:node\.(?:id|hostname|ip|role|platform\.os|platform\.arch)|(?:node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9._-]{0,127})"
    r" ?[!=]= ?[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}",
    'a placement constraint such as "node.labels.zone==a" or "node.hostname!=box1"',
)
NODE_LABEL = matching(
    r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127}==[A-Za-z0-9][A-Za-z0-9._:/-]{0,127})?",
    'a label of machines such as "entry==yes", or ""',
)
SPREAD = matching(r"(?:node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9._-]{0,127}", 'a node label such as "node.labels.zone"')
RESTART = matching(
    r"no|always|unless-stopped|on-failure(?::[1-9][0-9]{0,3})?",
    '"no", "always", "unless-stopped", "on-failure" or "on-failure:N"',
)
NAME = matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", "a name such as GREETING: letters, digits, '_', '.', '-'")
SECRET_ID = matching(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
    "the id of a `RUN --mount=type=secret`: letters, digits, '_', '.', '-'",
)
STAGE = matching(r"|[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", "the name of a stage in the Dockerfile")
LABEL = matching(
    r"(?!gitdeploy\.)[A-Za-z0-9][A-Za-z0-9_./@\[\]-]{0,254}",
    "the name of a label: letters, digits, '_', '.', '/', '-', not beginning with gitdeploy.",
)
HOST = matching(r"|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]", "a host name or address")
URL = matching(r"|https?://[!-~]{1,2000}", 'an address that begins with "https://" or "http://"')

# Both go into HTTP requests and into the router's configuration: nothing that could end a line, a word or a quotation there
HTTP_PATH = matching(r"|/[A-Za-z0-9/._~!&()*+,;=:@%?-]{0,1000}", 'a path such as "/health"')
HEADER = matching(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of an HTTP header")
HEADER_VALUE = matching(
    r"[A-Za-z0-9 !#&()*+,./:;<=>?@\[\]^_`{|}~-]{0,1000}",
    "an HTTP header's value without quotes, '\\', '$' or '%'",
)

LOG_DRIVER = matching(r"|[a-z0-9][a-z0-9._/:-]{0,127}", 'the name of a log driver, such as "local" or "journald"')
LOG_OPTION = matching(r"[a-z][A-Za-z0-9_.-]{0,127}", 'the name of a log driver\'s option, such as "max-size"')


def _parse_command(value: object) -> tuple[str, ...]:
    expected = 'an array of a program and its arguments, such as ["trivy", "image", "{image}"]'
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise BadValue(expected, value)
    for index, word in enumerate(value):
        if not isinstance(word, str) or len(word) > 4096 or any(c < " " or c == "\x7f" for c in word):
            raise BadValue("a string without control characters", word, f"[{index}]")
    if value and not re.fullmatch(r"/.*[^/]|[A-Za-z0-9][A-Za-z0-9._+-]*", value[0]):
        raise BadValue("the name of a program of the server, or its absolute path", value[0], "[0]")
    return tuple(value)


COMMAND = Kind("an array of a program and its arguments", _parse_command, list)

TAG_TEMPLATE = matching(
    r"(?=.{1,128}\Z)(?![.-])(?:\{(?:version|commit|branch)\}|[A-Za-z0-9_.-])+",
    'a tag, in which {version}, {commit} and {branch} are filled in, such as "{version}" or "latest"',
)

# git-check-ref-format(1), and `*`, `?`, `[…]` of a shell's `case`. Other refs are not people's to move: refs/pull/N/head is
# written for every pull request that anybody opens.
BRANCH = matching(
    r"(?=.{1,250}\Z)(?!refs/(?!heads/|tags/))(?![-/])(?!.*(?:\.\.|//|@\{|\.lock\Z|[./]\Z))[^\x00-\x20\x7f-\xa0~^:\\]+",
    'a branch such as "main" or "release/*", or a full pattern such as "refs/tags/v*"',
)


def _is_absolute(text: str) -> bool:
    return text.startswith("/") and text.isprintable() and len(text) <= 4096 and ".." not in text.split("/")


def _parse_path(value: object) -> Path:
    if not isinstance(value, str) or not _is_absolute(value):
        raise BadValue("the absolute path of a file on the server", value)
    return Path(value)


PATH = Kind("an absolute path", _parse_path, str)
INNER_PATH = matching(
    r"(?!/run/secrets/)(?!.*/\.{0,2}(?:/|\Z))/[^\x00-\x20\x7f-\xa0]{1,1000}", "the absolute path of a file in the container"
)


def _parse_repository(value: object) -> Path | str:
    if isinstance(value, str) and appname.is_app_name(value.lower()):
        return value.lower()
    if not isinstance(value, str) or not _is_absolute(value):
        raise BadValue('"owner/repo" on the Git server, or the absolute path of a bare repository', value)
    return Path(value)


REPOSITORY = Kind("a repository", _parse_repository, str)

FILES = matching(
    r"!?(?!/|!)(?!.*(?:\A|/)\.\.(?:/|\Z))[^\x00-\x1f\x7f\[\]\\]{1,1000}",
    'files of the tree as in .dockerignore, such as "admin/**", "**/*.go" or "!admin/docs"',
)


def _parse_tree_path(value: object) -> str:
    text = value if isinstance(value, str) else "/"
    if text.startswith("/") or not text.isprintable() or len(text) > 4096 or ".." in text.split("/"):
        raise BadValue('a path within the tree, from its root, such as "docker/Dockerfile"', value)
    return str(PurePosixPath(text))


TREE_PATH = Kind("a path within the tree", _parse_tree_path)

_VOLUME = (
    '"/path/on/the/server:/path/in/the/container" or "name:/path/in/the/container", and after it ":" with any of '
    "ro, z, Z, for a name nocopy, for a path (r)private, (r)shared, (r)slave"
)
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_OF_NAMES = ("z", "Z", "nocopy")
_OF_PATHS = ("z", "Z", "private", "rprivate", "shared", "rshared", "slave", "rslave")


def _parse_volume(value: object) -> Volume:
    source, _, rest = (value if isinstance(value, str) else "").partition(":")
    target, colon, mode = rest.partition(":")
    good_source = _VOLUME_NAME.fullmatch(source) or _is_absolute(source)
    good_target = _is_absolute(target) and PurePosixPath(target) != PurePosixPath("/")
    modes = mode.split(",") if colon else []
    options = tuple(option for option in modes if option not in ("ro", "rw"))
    allowed = _OF_PATHS if source.startswith("/") else _OF_NAMES
    labels_once = len({option.lower() for option in modes}) == len(modes) and not {"ro", "rw"} <= {*modes}
    propagations = [option for option in options if option not in _OF_NAMES]
    good_mode = labels_once and len(propagations) <= 1 and all(option in allowed for option in options)
    if not good_source or not good_target or not good_mode:
        raise BadValue(_VOLUME, value)
    return Volume(source, str(PurePosixPath(target)), "ro" in modes, options)


VOLUME = Kind(_VOLUME, _parse_volume, str)


def _parse_status(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1000 else value
    match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", text) if isinstance(text, str) else None
    if not match or int(match[1]) > int(match[2] or match[1]):
        raise BadValue('an HTTP status such as 200 or "200-399"', value)
    return match[0]


STATUS = Kind('an HTTP status such as 200 or "200-399"', _parse_status)


def _parse_weight(value: object) -> int:
    text = value.removesuffix("%") if isinstance(value, str) else value
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,3}", text):
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or not 1 <= text <= 100:
        raise BadValue("a percentage from 1 to 100", value)
    return text


WEIGHT = Kind("a percentage from 1 to 100", _parse_weight)
