"""Plugins of pytest: one records which lines each test runs, the other runs chosen tests."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Collection, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import pytest


class LineTracer:
    """Records the lines that each test of a session runs, and how long it takes.

    Args:
        packages: folders of the sources that are traced.
        data: file for coverage's data.
    """

    def __init__(self, packages: Collection[Path], data: Path) -> None:
        self._packages = [*packages]
        self._coverage = coverage.Coverage(
            data_file=str(data), config_file=False, source=[str(it) for it in packages]
        )
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    def pytest_sessionstart(self) -> None:
        """Import all sources first, so that no line of a module's own counts for one test."""
        for package in self._packages:
            name = ".".join(package.relative_to(Path.cwd()).parts)
            found = import_module(name)
            for module in pkgutil.walk_packages(found.__path__, f"{name}."):
                import_module(module.name)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run a test under its own name."""
        self._coverage.switch_context(item.nodeid)
        began = time.process_time()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.process_time() - began
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that cannot tell a fault, because it fails without, or is skipped."""
        if report.outcome != "passed":
            self._failed.add(report.nodeid)

    def report(self) -> dict[str, Any]:
        """For each test that passed: its s of CPU, and its lines by file."""
        self._coverage.stop()
        data = self._coverage.get_data()
        tests: dict[str, Any] = {
            name: {"seconds": seconds, "lines": {}}
            for name, seconds in self._seconds.items()
            if name not in self._failed
        }
        for file in data.measured_files():
            path = Path(file).relative_to(Path.cwd()).as_posix()
            for line, names in sorted(data.contexts_by_lineno(file).items()):
                for name in names:
                    if name in tests:
                        tests[name]["lines"].setdefault(path, []).append(line)
        return {"tests": tests, "failed": sorted(self._failed)}


class FirstFailure:
    """Runs chosen tests in a given order.

    Args:
        chosen: names of the tests, in order; None for all that do not fail without a fault.
        excluded: names of tests that fail without.
    """

    def __init__(self, chosen: Collection[str] | None, excluded: Collection[str]) -> None:
        self._order = None if chosen is None else {name: place for place, name in enumerate(chosen)}
        self._excluded = frozenset(excluded)
        self._failed: str | None = None
        self._collected = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen ones."""
        self._collected = len(items)
        items[:] = [item for item in items if item.nodeid not in self._excluded]
        order = self._order
        if order is not None:
            items[:] = [item for item in items if item.nodeid in order]
            items.sort(key=lambda item: order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the test that failed."""
        if report.failed and self._failed is None:
            self._failed = report.nodeid

    def report(self) -> dict[str, Any]:
        """The name of the test that failed, if any, and how many tests the files had."""
        return {"failed": self._failed, "collected": self._collected}
