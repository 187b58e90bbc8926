"""The processes that one test starts, told from those of other tests by their environment.

A child inherits its environment, so a process is found after its parent has ended, and also if it
has a process group of its own.
"""

from __future__ import annotations

import psutil
import pytest

#: Names the test in the environment of its processes.
MARK = "STARTED_BY_TEST"


def marked(variable: str, value: str) -> list[psutil.Process]:
    """The processes that live and have this value of a variable in their environment."""
    return [
        process
        for process in psutil.process_iter(["environ", "status"])
        if (process.info["environ"] or {}).get(variable) == value
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


class OwnProcesses:
    """The processes that are started from now on.

    Args:
        name: of the test; no other test that runs has it.
        monkeypatch: of the test.
    """

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._name = name
        monkeypatch.setenv(MARK, name)

    def pids(self) -> set[int]:
        """Those that live. A zombie has ended, and waits for its parent or the machine's init."""
        return {process.pid for process in marked(MARK, self._name)}
