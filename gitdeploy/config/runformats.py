"""Kinds of values of `[apps.X.run]`, in the forms that `docker run` takes. Pure.

What the engine only finds out when a container is started is admitted here in the forms that are known to be right, so that
nothing is stopped for a container that cannot start. Reference: https://docs.docker.com/reference/cli/docker/container/run/.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from typing import Any

from gitdeploy.config.problems import BadValue
from gitdeploy.config.runoptions import NO_SWAP_LIMIT
from gitdeploy.config.values import MAX_ITEMS, SETTING, Kind, matching, size

MAX_WORD = 4096
"""Characters of a word of a command."""

_WORDS = 'an array such as ["serve", "--port", "80"], or one string of words as a shell reads them ($ is no variable in it)'
_NO_WORDS = "a string in which each quotation ends"


def _parse_words(value: object) -> tuple[str, ...]:
    """Read a command; a string is split as a shell would, with everything but quotes and backslashes taken as it is."""
    if isinstance(value, str) and len(value) <= MAX_WORD:
        try:
            value = shlex.split(SETTING.parse(value))
        except ValueError:
            raise BadValue(_NO_WORDS, value) from None
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise BadValue(_WORDS, value)
    for index, word in enumerate(value):
        if not isinstance(word, str) or len(word) > MAX_WORD:
            raise BadValue(f"a string of at most {MAX_WORD} characters", word, f"[{index}]")
        try:
            SETTING.parse(word)
        except BadValue as bad:
            raise BadValue(bad.expected, word, f"[{index}]") from bad
    return tuple(value)


COMMAND_LINE = Kind(_WORDS, _parse_words, list)

ENTRYPOINT = Kind(f'{_WORDS}; "" for none', lambda value: ("",) if value == "" else _parse_words(value), list)

USER = matching(
    r"|[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?",
    'a user or its number, with ":" and a group if need be, such as "app" or "1000:1000"',
)
GROUP = matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", "a group of the image or its number")
_UP = r"(?!.*/\.\.(?:[/:]|\Z))"
INSIDE = rf"{_UP}/[^\x00-\x1f\x7f:,]{{0,1000}}"
WORKDIR = matching(f"|{INSIDE}", "the absolute path of a directory in the container")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
HOSTNAME = matching(rf"|(?=.{{1,63}}\Z){_NAME}", "a host name of at most 63 letters, digits, '-' and '.'")
SIGNAL = matching(r"|(?:SIG)?[A-Z][A-Z0-9+-]{1,12}|[1-9][0-9]?", 'a signal, such as "SIGQUIT"')
CPUSET = matching(r"|[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?){0,99}", 'processors, such as "0-2,4"')

_SWAP = size(0, 10**15)
SWAP = Kind(
    f"-1 for no limit of swap, or {_SWAP.expected}",
    lambda value: NO_SWAP_LIMIT if value == NO_SWAP_LIMIT and not isinstance(value, bool) else _SWAP.parse(value),
    lambda value: value if value == NO_SWAP_LIMIT else _SWAP.format(value),
)

# pkg mount of moby, validFlags and what tmpfs(5) takes
_TMPFS = (
    r"(?:ro|rw|(?:no)?(?:exec|suid|dev|atime)|size=[0-9]{1,15}[kmg%]?|nr_inodes=[0-9]{1,15}[kmg]?|mode=[0-7]{3,4}"
    r"|[ug]id=[0-9]{1,9})"
)
TMPFS = matching(
    rf"(?!/+(?::|\Z)){INSIDE}(?::{_TMPFS}(?:,{_TMPFS}){{0,9}})?",
    'a directory in the container, such as "/run" or "/tmp:size=64m,mode=1777"',
)

ULIMIT_NAME = matching(
    "core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack",
    'a limit of setrlimit(2), such as "nofile"',
)


def _parse_ulimit(value: object) -> tuple[int, int]:
    expected = 'a number from -1, which is none, or "SOFT:HARD" with SOFT at most HARD, such as "1024:4096"'
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = re.fullmatch(r"(-1|[0-9]{1,15})(?::(-1|[0-9]{1,15}))?", text) if isinstance(text, str) else None
    if not match:
        raise BadValue(expected, value)
    soft, hard = int(match[1]), int(match[2] or match[1])
    if hard != -1 and not 0 <= soft <= hard:
        raise BadValue(expected, value)
    return soft, hard


def _write_ulimit(limit: tuple[int, int]) -> object:
    soft, hard = limit
    return soft if soft == hard else f"{soft}:{hard}"


ULIMIT = Kind("a number or SOFT:HARD", _parse_ulimit, _write_ulimit)

SYSCTL = matching(  # moby, opts/opts.go, ValidateSysctl
    r"(?:net\.[a-z0-9_./:@-]{1,120}|fs\.mqueue\.[a-z_]{1,40}"
    r"|kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|domainname))",
    'the name of a setting that each container has for itself, such as "net.core.somaxconn"',
)
SYSCTL_VALUE = Kind("a string or a number", SETTING.parse)

_CAPABILITY = re.compile(r"(?=.{2,40}\Z)(?:CAP_)?([A-Z]+(?:_[A-Z]+)*)")


def _parse_capability(value: object) -> str:
    match = _CAPABILITY.fullmatch(value.upper()) if isinstance(value, str) else None
    if not match:
        raise BadValue('a capability of capabilities(7), such as "NET_BIND_SERVICE", or "ALL"', value)
    return match[1]


CAPABILITY = Kind("a capability", _parse_capability)

SECURITY = matching(
    r"apparmor=[A-Za-z0-9_./-]{1,100}|seccomp=(?:unconfined|builtin)"
    r"|label=(?:disable|(?:user|role|type|level):[A-Za-z0-9_.:,-]{1,100})",
    '"apparmor=PROFILE", "seccomp=unconfined", "seccomp=builtin" or "label=…" (run.no_new_privileges is a key of its own)',
)

_NODE = r"/[A-Za-z0-9_./+@-]{1,200}"
DEVICE = matching(
    rf"{_UP}(?=/dev/.){_NODE}(?::{_NODE})?(?::(?!.*(.).*\1)[rwm]{{1,3}})?",
    'a device of the host, such as "/dev/ttyUSB0" or "/dev/ttyUSB0:/dev/modem:rw"',
)


def _parse_gpus(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(
        r"|all|[1-9][0-9]?|device=[A-Za-z0-9-]{1,60}(?:,[A-Za-z0-9-]{1,60}){0,63}", text
    ):
        raise BadValue('"all", a number of GPUs, or "device=0,1"', value)
    return text


GPUS = Kind("GPUs", _parse_gpus)

_SHARED = "; those of another container (container:…) are never shared, for it may be gone when this one starts"
IPC = matching("|none|private|shareable|host", f'"none", "private", "shareable" or "host"{_SHARED}')
PID = matching("|host", f'"host"{_SHARED}')
USERNS = matching("|host", '"host"')
PLUGIN = matching(r"|[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}", "a name that the engine knows")

_MAC = re.compile(r"|[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.I)


def _parse_mac(value: object) -> str:
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        raise BadValue('a MAC address such as "02:42:ac:11:00:02"', value)
    return value.lower()


MAC = Kind("a MAC address", _parse_mac)


def _address(text: object, version: int = 0) -> str:
    """Return an IP address in its usual form, "" if it is none of that version (0 for any)."""
    try:
        found = ipaddress.ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return ""
    return str(found) if found and version in (0, found.version) else ""


def _address_kind(version: int, expected: str, *, empty: bool = False) -> Kind[Any]:
    def parse(value: object) -> str:
        found = _address(value, version)
        if not found and not (empty and value == ""):
            raise BadValue(expected, value)
        return found

    return Kind(expected, parse)


DNS = _address_kind(0, 'the IP address of a name server, such as "10.0.0.2"')
IP = _address_kind(4, 'an IPv4 address such as "172.30.0.10"', empty=True)
IP6 = _address_kind(6, 'an IPv6 address such as "fd00::10"', empty=True)
DNS_SEARCH = matching(rf"\.|{_NAME}", 'a domain such as "example.com", or "." for none')
DNS_OPTION = matching(r"[a-z0-9-]{1,40}(?::[0-9]{1,5})?", 'an option of resolv.conf(5), such as "ndots:2"')
ALIAS = matching(_NAME.replace("A-Za-z0-9-", "A-Za-z0-9_-"), "a name on the network: letters, digits, '-', '_' and '.'")


def _parse_host(value: object) -> str:
    name, _, where = re.sub("[:=]", "\n", value, count=1).partition("\n") if isinstance(value, str) else ("", "", "")
    address = where if where == "host-gateway" else _address(where.removeprefix("[").removesuffix("]"))
    if not address or not re.fullmatch(_NAME.replace("A-Za-z0-9-", "A-Za-z0-9_-"), name):
        raise BadValue('"NAME:ADDRESS", such as "db:10.0.0.5" or "host.docker.internal:host-gateway"', value)
    return f"{name}:{address}"


HOST_ENTRY = Kind("a name and its address", _parse_host)
