"""What can go wrong, as types: the type decides the exit code, the text is for the person who pushed or installed.

Every error says what was expected, what was found and, in `hint`, what to do. `cli` maps them to exit codes in one place;
anything that is not a GitdeployError is a defect of gitdeploy, and only those leave a traceback (in the log file).
"""

from __future__ import annotations

from collections.abc import Sequence


class GitdeployError(Exception):
    """A failure that has been understood.

    Attributes:
        reason: one sentence, what was expected and what was found.
        hint: what to do about it, or "".
        tail: the last lines that matter (build output, container log, health answers), oldest first.
        stage: where it happened, filled in by the stage it leaves first.
    """

    exit_code = 1

    def __init__(self, reason: str, hint: str = "", tail: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.tail = tuple(tail)
        self.stage = ""


class StageFailed(GitdeployError):
    """A stage of a deployment could not be completed; the old release still serves unless `reason` says otherwise."""


class Cancelled(GitdeployError):
    """The deployment was stopped on request: `gitdeploy cancel`, a stop signal, or a newer push."""


class NothingToDo(GitdeployError):
    """There is nothing to deploy; `reason` says why. No failure."""

    exit_code = 0


class UsageError(GitdeployError):
    """A command line that gitdeploy cannot follow."""

    exit_code = 2


class ConfigError(GitdeployError):
    """One or more mistakes in a config file, all of that file at once.

    Attributes:
        problems: one line each, "FILE: KEY: expected …, found …".
    """

    exit_code = 2

    def __init__(self, problems: Sequence[str], hint: str = "") -> None:
        super().__init__("\n".join(problems), hint)
        self.problems = tuple(problems)


class UnfitError(GitdeployError):
    """The environment cannot do the work: no engine, no permission on its socket, no registry, no disk space."""

    exit_code = 3


class EngineGone(UnfitError):
    """Nothing, or nobody in time, answers at the engine's address; it may be back in a moment."""


class EngineError(GitdeployError):
    """The Docker Engine answered with an error.

    Attributes:
        status: its HTTP status, 0 where the error came inside a stream of HTTP 200.
    """

    def __init__(self, reason: str, status: int = 0, hint: str = "", tail: Sequence[str] = ()) -> None:
        super().__init__(reason, hint, tail)
        self.status = status


class NotFound(EngineError):
    """The engine knows no such container, image or network (HTTP 404)."""


class NoManager(EngineError):
    """The engine is in no cluster, or no manager of it, and was asked for what only managers know."""


class NotRunnable(EngineError):
    """The image has no such program, or one that cannot be run.

    Attributes:
        code: 127 or 126, as a shell has it.
    """

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason, 400, "the name is looked for in the image's PATH; `sh -c '…'` understands a shell's words")
        self.code = code


class BuildFailed(EngineError):
    """The engine could not build the image; `tail` holds the last lines of the failing step."""


class RegistryError(EngineError):
    """A push or pull failed.

    Attributes:
        transient: whether trying again may help (connection refused, 5xx, timeouts), as opposed to denied or unauthorized.
    """

    def __init__(self, reason: str, *, transient: bool, hint: str = "") -> None:
        super().__init__(reason, 0, hint)
        self.transient = transient


def understood(error: Exception, log: str) -> GitdeployError:
    """Return the error as one that can be told to a pusher; what is no GitdeployError is named by its type alone.

    Args:
        log: where its traceback is.
    """
    if isinstance(error, GitdeployError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return UnfitError(f"gitdeploy was refused something by this machine: {error.strerror}", f"details are in {log}")
    return StageFailed(f"gitdeploy itself failed ({type(error).__name__})", f"the traceback is in {log}: please report it")
