"""The number of processors that a configuration file sees while it runs: the experiment's.

``workers = 2 * cpu_count() + 1`` means the machine that the server runs on, not this one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

#: Names of `os.sysconf` that count processors; `psutil` and C libraries ask by the first.
SYSCONF = ("SC_NPROCESSORS_ONLN", "SC_NPROCESSORS_CONF")


class Counted:
    """Whether processors were counted.

    Attributes:
        used: set by the first count.
    """

    def __init__(self) -> None:
        self.used = False


@contextlib.contextmanager
def counted_as(cores: int) -> Iterator[Counted]:
    """Everything in Python's library that counts processors, and psutil, counts ``cores``.

    A function that outlives the block, because a module took it by name, counts this machine's
    again.
    """
    # It costs more start-up than the model; most predictions run no configuration file.
    from unittest import mock  # noqa: PLC0415

    counted = Counted()
    current = True
    asked_for: set[int | str] = {*SYSCONF, *(os.sysconf_names.get(name, name) for name in SYSCONF)}

    def instead_of(module: Any, name: str, count: Callable[..., Any]) -> None:  # noqa: ANN401
        original = getattr(module, name, None)
        if original is None:  # Which of them there are depends on the release and the system.
            return

        def function(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
            value = count(*arguments, **keywords) if current else None
            if value is None:
                return original(*arguments, **keywords)
            counted.used = True
            return value

        stack.enter_context(mock.patch.object(module, name, function))

    def affinity(process: int) -> set[int] | None:
        return set(range(cores)) if process in (0, os.getpid()) else None

    def sysconf(name: int | str) -> int | None:
        return cores if name in asked_for else None

    with contextlib.ExitStack() as stack:
        # multiprocessing.cpu_count() asks os.cpu_count().
        instead_of(os, "cpu_count", lambda: cores)
        instead_of(os, "process_cpu_count", lambda: cores)
        instead_of(os, "sched_getaffinity", affinity)
        instead_of(os, "sysconf", sysconf)
        with contextlib.suppress(ImportError):
            import psutil  # noqa: PLC0415 - not required, and slow to import

            instead_of(psutil, "cpu_count", lambda logical=True: cores)  # noqa: ARG005
        try:
            yield counted
        finally:
            current = False
