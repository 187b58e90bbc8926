"""Ends a process of the rig with the process that started it."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(parent: int, signal_number: int) -> None:
    """Let the kernel send a signal to this process when its parent dies, even of SIGKILL.

    What this process forks does not inherit that.

    Args:
        parent: the pid that the parent had when it started this process.
        signal_number: the signal to send.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # It died before we asked.
        sys.exit(1)
