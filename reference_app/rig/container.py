"""The processes of one Gunicorn, which may be started more than once: a container of the rig's."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from sim.errors import ExperimentError

#: s between two looks at processes that are to end.
LOOK = 0.02
#: s that killed processes may take to be gone.
KILL = 5.0


class Container:
    """Gunicorn's first master and all that it forks, in a process group of their own.

    It has no namespaces. What the kernel does for the first process of a container, `end` does: all
    end with it.

    State:
        process: the first master that was started last.
        masters: pids of all first masters, the first first.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self.process = start()
        self.masters = [self.process.pid]

    def restart(self) -> None:
        """Start Gunicorn again, once all processes have ended."""
        self.process = self._start()
        self.masters.append(self.process.pid)

    def ended(self) -> bool:
        """Whether the first master has ended."""
        return self.process.poll() is not None

    def stop(self, patience: float) -> None:
        """End all processes; give the master ``patience`` s to do so by itself.

        Raises:
            ExperimentError: when killed processes do not end.
        """
        if patience > 0:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        # The master first, or it would replace its workers. Not through killpg: by its own pid,
        # each.
        self.process.kill()
        deadline = time.monotonic() + KILL
        while members := group(self.process.pid):
            for member in members:
                try:
                    member.kill()
                except psutil.NoSuchProcess:
                    continue
            if time.monotonic() > deadline:
                pids = ", ".join(str(member.pid) for member in members)
                raise ExperimentError(
                    f"processes {pids} of Gunicorn did not end; expected none left"
                )
            time.sleep(LOOK)
        self.process.wait()


def group(leader: int) -> list[psutil.Process]:
    """The living processes of the master's group: workers too whose master has died."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members
