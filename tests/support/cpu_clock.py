"""A pytest plugin: the CPU that tests of one folder take, and an error where that is too much.

Time on the wall depends on what else runs; the CPU of a test and of the processes that it started
and waited for hardly does. ``--most-cpu tests/unit=100`` asserts 100 s for all tests below
`tests/unit` together, in whichever processes they ran.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Generator

import pytest

_BEGAN = pytest.StashKey[float]()

#: The name of what a test's last report says.
CPU = "cpu_s"


class _Clock:
    """Adds up, from the reports of all processes.

    Args:
        folder: whose tests count.
        most: s of CPU of all of them together.
    """

    def __init__(self, folder: str, most: float) -> None:
        self.folder = folder
        self.most = most
        self.seconds = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that is over, in whichever process."""
        if report.nodeid.startswith(f"{self.folder}/"):
            self.seconds += sum(float(str(s)) for name, s in report.user_properties if name == CPU)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say it, and fail a session that took more."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        reporter.write_line(f"\n{self.folder} took {self.seconds:.0f} s of CPU")
        if self.seconds > self.most and session.exitstatus == 0:
            reporter.write_line(f"error: expected at most {self.most:g} s")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--most-cpu``."""
    parser.addoption(
        "--most-cpu",
        metavar="FOLDER=S",
        help="fail if the tests of a folder take more CPU, s, their own processes' included",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the clock, of which there is one: in the process that reports."""
    asked = config.getoption("--most-cpu")
    if asked and not hasattr(config, "workerinput"):
        folder, _, most = asked.partition("=")
        config.pluginmanager.register(_Clock(folder.rstrip("/"), float(most)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note what this process has computed before a test."""
    item.stash[_BEGAN] = _cpu()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the last report of a test say what it took."""
    report = yield
    if call.when == "teardown":
        report.user_properties.append((CPU, _cpu() - item.stash[_BEGAN]))
    return report


def _cpu() -> float:
    """CPU of this process and of its ended children until now, s."""
    # Of finer grain than `os.times`, whose ticks of 10 ms are longer than many a test.
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
