"""A pytest plugin: where coverage is measured, it is that of the tests marked ``covered`` only.

A tracer makes what it traces twice as slow, changes how long it takes, and must not see property
tests, whose examples are chance. So it is stopped while any other test runs, and the processes that
such a test starts are not traced either; and so it is while tests are collected. Without ``coverage
run`` the plugin does nothing.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module

import coverage
import pytest

import sim

#: What tells a process that is started to measure as well; see ``patch`` of coverage's ``run``.
PROCESS_CONFIG = "COVERAGE_PROCESS_CONFIG"

#: Modules that run something when they are imported.
RUNS = frozenset({"sim.__main__"})


def pytest_sessionstart() -> None:
    """Import all of `sim`, so that no line of a module's own depends on which test is its first."""
    if coverage.Coverage.current() is not None:
        for module in pkgutil.walk_packages(sim.__path__, "sim."):
            if module.name not in RUNS:
                import_module(module.name)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the tracer: thousands of tests, in each of the session's processes."""
    measured = coverage.Coverage.current()
    if measured is None:
        return (yield)
    with untraced(measured):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test, traced or not."""
    measured = coverage.Coverage.current()
    if measured is None or item.get_closest_marker("covered"):
        return (yield)
    with untraced(measured):
        return (yield)


@contextmanager
def untraced(measured: coverage.Coverage) -> Iterator[None]:
    """Measure nothing in the block, nor in processes that begin in it."""
    config = os.environ.pop(PROCESS_CONFIG, None)
    measured.stop()
    try:
        yield
    finally:
        measured.start()
        if config is not None:
            os.environ[PROCESS_CONFIG] = config
