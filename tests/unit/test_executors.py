"""The processes that make trials: none is left, whenever Ctrl-C comes."""

from __future__ import annotations

import signal
from multiprocessing.popen_forkserver import Popen
from typing import Any

import psutil
import pytest

from sim.study.executors import processes


def test_ctrl_c_while_a_process_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    launch = Popen._launch  # type: ignore[attr-defined]

    def interrupted(self: Any, process: object) -> None:  # noqa: ANN401
        launch(self, process)
        started.append(self.pid)
        # Python knows the process, but not yet that it is its child.
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Popen, "_launch", interrupted)
    with pytest.raises(KeyboardInterrupt), processes(1) as executor:
        executor.submit(abs, -1)
    (pid,) = started
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
