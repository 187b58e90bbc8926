"""A pytest plugin: what failed on a busy machine is looked at again, alone, before it counts.

Tests that serve, measure or browse judge what processes did on a machine that does other things as
well. Of some hundred of them one fails now and then by chance; a session that fails for chance says
nothing. So where several processes ran the tests, a few that failed run a second time, in a session
of their own with nothing beside them: a chance of 1 in 1,000 becomes 1 in a million, while what is
broken fails again. Tests that compute have no such excuse, nor have many that fail at once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import PurePath

import pytest
from kinds import Kind, kind_of

#: Kinds of tests that chance can fail.
ON_THE_CLOCK = frozenset({Kind.SERVES, Kind.BROWSES, Kind.MEASURES})

#: Tests that fail by chance in one session, at most.
FEW = 4

#: What fails a session: a test, or what it needed.
FAILURES = ("failed", "error")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let a session pass in which only what fails by chance had failed, and passed alone."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not config.getoption("numprocesses", default=None):
        return
    failed = [report.nodeid for name in FAILURES for report in reporter.stats.get(name, ())]
    chosen = worth_a_look(failed) if exitstatus == pytest.ExitCode.TESTS_FAILED else ()
    if not chosen:
        return
    reporter.write_sep("=", f"second look at {len(chosen)} that failed")
    options = ("--no-skips",) if config.getoption("--no-skips", default=False) else ()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", *options, *chosen],
        cwd=config.rootpath,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == pytest.ExitCode.OK:
        reporter.write_line(f"passed at the second look: {', '.join(chosen)}")
        session.exitstatus = pytest.ExitCode.OK


def worth_a_look(failed: Collection[str]) -> tuple[str, ...]:
    """Node ids of the tests that may have failed by chance, each once; none if any did not."""
    chosen = tuple(dict.fromkeys(failed))
    by_chance = all(kind_of(PurePath(it.partition("::")[0])) in ON_THE_CLOCK for it in chosen)
    return chosen if by_chance and len(chosen) <= FEW else ()
