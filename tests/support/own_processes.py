"""The processes that one test starts, told from those of other tests by their environment.

A child inherits its environment, so a process is found after its parent has ended, and also if it
has a process group of its own.
"""

from __future__ import annotations

import psutil
import pytest

#: Names the test in the environment of its processes.
MARK = "STARTED_BY_TEST"


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
        found = set()
        for process in psutil.process_iter(["environ", "status"]):
            environment = process.info["environ"] or {}
            status = process.info["status"]
            if environment.get(MARK) == self._name and status != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        return found
