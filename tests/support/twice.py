"""Run pytest, then once more, in one process, the few tests that failed while others ran beside them.

    python -m tests.support.twice [PYTEST ARGUMENT]…

Real engines and servers are slow for moments when the machine is busy. A test that fails again by itself fails the run; one
that passes is named, so that it can be mended. More than `MOST` failures are not the machine's fault, and stay as they are.
"""

from __future__ import annotations

import os
import sys

import pytest

MOST = 5


class Failures:
    """What failed, as pytest reports it to the process that the others run for."""

    def __init__(self) -> None:
        self.tests: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that failed, in its setup and teardown too."""
        if report.failed and report.nodeid not in self.tests:
            self.tests.append(report.nodeid)


def main(arguments: list[str]) -> int:
    """Run the tests; return pytest's exit code, or become the second run."""
    failures = Failures()
    code = pytest.main(arguments, plugins=[failures])
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failures.tests) <= MOST or "--pdb" in arguments:
        return int(code)
    print("tests/run: failed beside others, and now run once more by themselves:", *failures.tests, sep="\n  ", flush=True)
    # A new process: the first one's engine, network and patches have ended with it.
    again = ["-m", "pytest", *arguments, "--last-failed", "--last-failed-no-failures=none", "-n", "0"]
    os.execv(sys.executable, [sys.executable, *again])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
