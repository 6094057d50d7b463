"""The command line: `gitdeploy VERB …`. One module a verb, imported when it is used; one error boundary for all.

Exit status: 0 done, 1 the deployment failed, 2 bad usage or config, 3 the environment is not fit (engine, registry, disk).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from gitdeploy import __version__
from gitdeploy.errors import GitdeployError

VERBS = {
    "status": "what runs, and what is under way",
    "history": "the deployments of an app",
    "logs": "the console log of a deployment",
    "deploy": "deploy a ref without a push",
    "rollback": "bring an earlier release live again",
    "cancel": "stop the running deployment of an app",
    "config": "check or show the configuration",
    "doctor": "find what is wrong with this installation",
    "prune": "remove releases, images and logs that are no longer needed",
    "enrol": "install the hook in a repository and add its app to config.toml",
    "remove": "take the hook out of a repository",
    "import-jenkinsfile": "turn a Jenkins pipeline into an app's configuration",
    "worker": "deploy what waits (run by the hook and the agent)",
    "help": "show a page of the documentation",
}


class Verb(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
        """Does the work; returns the exit status."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(2, f"gitdeploy: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments, os.environ)
    except GitdeployError as error:
        _show(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
    print("usage: gitdeploy VERB [APP] …    (APP is owner/repo; `gitdeploy VERB --help` tells more)\n", file=out)
    for name, text in VERBS.items():
        print(f"  {name:<20}{text}", file=out)
    return 0 if known else 2


def _show(error: GitdeployError) -> None:
    """What a build, a container or a file name says may be in it, and this is somebody's terminal."""
    from gitdeploy.console import harmless_lines  # noqa: PLC0415 - loguru comes with it

    lines = [f"gitdeploy: {error.reason}", *(f"    | {line}" for line in error.tail)]
    lines += [f"what to do: {error.hint}"] if error.hint else []
    print(harmless_lines("\n".join(lines)), file=sys.stderr)
