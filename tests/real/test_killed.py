"""The rig and a recording that are ended at one moment each; `python -m tests.kills` has others."""

from __future__ import annotations

import signal

from tests.kills import recording
from tests.kills.command import troubles
from tests.kills.subjects import COMMANDS


def test_a_rig_that_is_killed_leaves_no_server() -> None:
    assert troubles(COMMANDS["measure"], signal.SIGKILL, 1.5) == []


def test_a_recording_whose_master_is_killed_is_gone_on_with() -> None:
    assert recording.troubles("gthread", signal.SIGKILL, 0.2, to_master=True) == []
