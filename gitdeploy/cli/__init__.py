"""The command line: `gitdeploy VERB …`. One module a verb, imported when it is used; one error boundary for all.

Exit status: 0 done, 1 the deployment failed, 2 bad usage or config, 3 the environment is not fit (engine, registry, disk).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import select
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gitdeploy import __version__
from gitdeploy.errors import GitdeployError, UnfitError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell has it."""

UNREAD = 141
"""Exit status when nobody reads the output any more, as a shell has it for SIGPIPE."""

VERBS = {
    "status": "what runs, and what is under way",
    "history": "the deployments of an app",
    "logs": "the console log of a deployment",
    "deploy": "deploy a ref without a push",
    "rollback": "bring an earlier release live again",
    "cancel": "stop the running deployment of an app",
    "stop": "take an app out of service",
    "start": "bring an app back that was taken out of service",
    "run": "run a command in a new container of what is live",
    "exec": "run a command in a running container of an app",
    "schedule": "list the schedules of an app, or run one now",
    "accessory": "start, stop, restart, upgrade or remove a database beside an app, or show what it says",
    "edge": "show where domains lead and how long certificates last, or put both right",
    "scale": "say how many containers of a process run",
    "config": "check or show the configuration",
    "doctor": "find what is wrong with this installation",
    "prune": "remove releases, images and logs that are no longer needed",
    "enrol": "install the hook in a repository and add its app to config.toml",
    "remove": "take the hook out of a repository",
    "rename": "give an app another name, with its history, releases and containers",
    "import-jenkinsfile": "turn a Jenkins pipeline into an app's configuration",
    "worker": "deploy what waits (run by the hook and the agent)",
    "help": "show a page of the documentation",
}


class Verb(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""

    def run(self, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
        """Do the work; return the exit status."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(2, f"gitdeploy: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit status. Every error becomes a line, a defect's traceback goes to the log."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments, os.environ)
        sys.stdout.flush()
        return status
    except GitdeployError as error:
        _show(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter flushes at its end
            return UNREAD
        return _unexpected(error, arguments[0] if arguments else "", os.environ)


def _nobody_reads() -> bool:
    """Return whether nobody reads stdout or stderr any more: a broken pipe can be another one, the engine's for example."""
    poll = select.poll()
    for fd in (1, 2):
        poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _unexpected(error: Exception, verb: str, environ: Mapping[str, str]) -> int:
    """Show what no verb has foreseen; return the exit status: 3 if it is the machine's doing, 1 if it is gitdeploy's."""
    log = _log_traceback(Path(environ["GITDEPLOY_HOME"])) if environ.get("GITDEPLOY_HOME") else None
    where = f"the traceback is in {log}" if log else "no log could be written; GITDEPLOY_HOME names where it would be"
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        _show(UnfitError(f"{verb}: {place}{error.strerror}", f"see whether this user may do that; {where}"))
        return UnfitError.exit_code
    _show(GitdeployError(f"{verb}: gitdeploy itself failed ({type(error).__name__})", f"please report it; {where}"))
    return GitdeployError.exit_code


def _log_traceback(home: Path) -> Path | None:
    """Add the traceback to gitdeploy.log; return where that is, None if it cannot be written. Only its owner makes it."""
    import traceback  # noqa: PLC0415 - it takes a moment

    path = home / "logs" / "gitdeploy.log"
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if path.parent.stat().st_uid == os.geteuid():
            flags |= os.O_CREAT
        fd = os.open(path, flags, 0o600)
        with os.fdopen(fd, "w", errors="backslashreplace") as file:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"{stamp} {os.getpid()} ERROR gitdeploy {__version__}, command line\n{traceback.format_exc()}")
    except OSError:
        return None
    return path


def _dispatch(arguments: list[str], environ: Mapping[str, str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in ("--version", "-V"):
        print(f"gitdeploy {__version__}")
        return 0
    if verb not in VERBS:
        return _help(verb)
    module: Verb = importlib.import_module(f"gitdeploy.cli.{verb.replace('-', '_')}")
    parser = _Parser(prog=f"gitdeploy {verb}", description=VERBS[verb])
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments[1:]), environ)


def _help(verb: str) -> int:
    known = verb in ("--help", "-h")
    out = sys.stdout if known else sys.stderr
    if not known:
        print(f"gitdeploy: unknown verb {verb!r}\n", file=out)
    print("usage: gitdeploy VERB [APP] …    (APP is owner/repo; `gitdeploy VERB --help` says more)\n", file=out)
    for name, text in VERBS.items():
        print(f"  {name:<20}{text}", file=out)
    return 0 if known else 2


def _show(error: GitdeployError) -> None:
    """Print an error. What a build, a container or a file name says may be in it, and this is a terminal."""
    from gitdeploy.terminal.redact import harmless  # noqa: PLC0415 - it takes a moment

    lines = [f"gitdeploy: {error.reason}", *(f"    | {line}" for line in error.tail)]
    lines += [f"what to do: {error.hint}"] if error.hint else []
    with contextlib.suppress(OSError):
        print("\n".join(harmless(line) for text in lines for line in text.splitlines()), file=sys.stderr)
