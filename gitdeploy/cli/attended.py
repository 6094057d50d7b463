"""What `gitdeploy run` and `gitdeploy exec` have in common: their arguments, what is live, and staying with the command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from gitdeploy.cli.installation import live_app, make_site
from gitdeploy.cli.who import audit
from gitdeploy.config.checks import processes
from gitdeploy.config.model import WEB, App
from gitdeploy.engine.protocol import CommandSession
from gitdeploy.engine.types import Attended
from gitdeploy.errors import NotRunnable, UsageError
from gitdeploy.releases.records import Deployment
from gitdeploy.terminal.attending import attend, leave_on_signals, terminal_size
from gitdeploy.worker.site import Site

FLAGS = {"i": "interactive", "t": "tty", "--interactive": "interactive", "--tty": "tty"}


@dataclass(frozen=True)
class Wanted:
    """What a command line asks for.

    Attributes:
        app: as it was given, without the process.
        process: of the app.
        command: the program and its arguments.
        terminal: -t.
        interactive: -i.
    """

    app: str
    process: str
    command: tuple[str, ...]
    terminal: bool = False
    interactive: bool = False


@dataclass(frozen=True)
class LiveApp:
    """What is live of an app.

    Attributes:
        deployment: that brought it live.
        app: the configuration of that, as the process has it.
        stopped: whether it was taken out of service.
    """

    deployment: Deployment
    app: App
    stopped: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a verb that runs a command."""
    parser.usage = f"{parser.prog} APP [-i] [-t] COMMAND [ARGUMENT …]"
    parser.add_argument("-i", "--interactive", action="store_true", help="pass this input on to the command")
    parser.add_argument("-t", "--tty", action="store_true", help="give the command a terminal; -it for a shell")
    # One list: argparse would take a -- behind APP for its own, which is to stand before a command that begins with -.
    what = "owner/repo, or owner/repo/process; then the program and its arguments"
    parser.add_argument("words", metavar="APP", nargs=argparse.PARSER, help=what)


def parse(arguments: argparse.Namespace) -> Wanted:
    """Return what is asked for. Pure. Raises UsageError.

    Options stand before or behind APP; what begins at the first other word is the command's.
    """
    given = {"interactive": arguments.interactive, "tty": arguments.tty}
    name, *rest = [word for number, word in enumerate(arguments.words) if number or word != "--"] or [""]
    while rest and rest[0].startswith("-") and rest[0] != "--":
        option = rest.pop(0)
        letters = [option] if option.startswith("--") else list(option[1:]) or [option]
        if unknown := [letter for letter in letters if letter not in FLAGS]:
            hint = "options are -i and -t; put -- before a command that begins with -"
            raise UsageError(f"there is no option {option[:40]!r} ({unknown[0][:40]})", hint)
        given |= {FLAGS[letter]: True for letter in letters}
    command = tuple(rest[1:] if rest[:1] == ["--"] else rest)
    if not command or not command[0]:
        raise UsageError("expected a command, found none", f"for example: {name} -it sh")
    owner, _, name = name.partition("/")
    name, _, process = name.partition("/")
    return Wanted(f"{owner}/{name}", process or WEB, command, given["tty"], given["interactive"])


def prepare(arguments: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Wanted, Attended, Site, LiveApp]:
    """Return what is asked for, how we are attached to it, and what is live of that app. Raises UsageError, UnfitError."""
    wanted = parse(arguments)
    attached = how(wanted)  # before anything is looked for: it needs nothing
    site = make_site(environ)
    return wanted, attached, site, whats_live(site, wanted)


def whats_live(site: Site, wanted: Wanted) -> LiveApp:
    """Return what is live of the app. Raises UsageError if nothing of it is, or it has no such process."""
    with site.open_state() as state:
        deployment, app = live_app(wanted.app, site, state)
        known = {part.process: part for part in processes(app)}
        if wanted.process not in known:
            raise UsageError(f"{app.name} has no process {wanted.process[:40]!r}", f"its processes: {', '.join(known)}")
        return LiveApp(deployment, known[wanted.process], state.stopped(deployment.app) is not None)


def how(wanted: Wanted) -> Attended:
    """Return how we are attached to the command. Raises UsageError for -t without a terminal."""
    if wanted.terminal and not os.isatty(0):
        hint = "leave out -t, -i alone passes input on; in agent mode docker exec needs -it, too"
        raise UsageError("-t: the input device is not a terminal", hint)
    return Attended(wanted.terminal, wanted.interactive, terminal_size() if wanted.terminal else (0, 0))


def stay(begin: Callable[[], AbstractContextManager[CommandSession]], wanted: Wanted, *, patience: float) -> int:
    """Run the command and stay with it; return its exit code."""
    leave_on_signals()
    try:
        with begin() as session:
            return attend(session, terminal=wanted.terminal, interactive=wanted.interactive, patience=patience, note=tell)
    except NotRunnable as error:
        error.exit_code = error.code
        raise


def tell(text: str) -> None:
    """Tell the person something, beside what the command says."""
    with contextlib.suppress(OSError):
        print(f"gitdeploy: {text}", file=sys.stderr, flush=True)


def record(site: Site, environ: Mapping[str, str], verb: str, live: LiveApp, command: Sequence[str]) -> None:
    """Write who runs what into the audit log: the program's name alone, for arguments may be secret."""
    deployment = live.deployment
    audit(site, environ, verb, app=live.app.name, deployment=deployment.id, version=deployment.version, reason=command[0])
