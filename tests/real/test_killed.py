"""The rig and a recording that are ended at one moment each; `python -m tests.kills` has others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from waiting import wait_for

from tests.kills import recording
from tests.kills.command import ROOT, troubles
from tests.kills.remains import MARK, Possessions, ended, family, remains
from tests.kills.subjects import COMMANDS

#: Starts a server whose worker stays in `post_fork` for a second.
SLOW_BIRTH = """
import sys
from pathlib import Path
from reference_app.rig.server import Application, running_server
from sim.experiment import Experiment, Server

application = Application("reference_app.app:app", "slow_post_fork", Path(sys.argv[1]))
with running_server(Experiment(Server(workers=1, preload_app=True)), application):
    pass
"""

#: s until the worker is there, at most.
BIRTH = 20.0


def test_a_rig_that_is_killed_leaves_no_server() -> None:
    assert troubles(COMMANDS["measure"], signal.SIGKILL, 1.5) == []


def test_a_recording_whose_master_is_killed_is_gone_on_with() -> None:
    assert recording.troubles("gthread", signal.SIGKILL, 0.2, to_master=True) == []


def test_a_rig_that_is_killed_while_a_worker_is_born_leaves_no_server() -> None:
    """The worker misses the master's SIGTERM, and would hold it up for `graceful_timeout`."""
    mark, support = uuid.uuid4().hex, Path(__file__).parents[1] / "support"
    with ended(mark):
        rig = subprocess.Popen(
            [sys.executable, "-c", SLOW_BIRTH, str(support)],
            cwd=ROOT,
            env={**os.environ, MARK: mark},
            start_new_session=True,
        )
        # The rig, the master and the worker.
        wait_for(lambda: len(family(mark, rig.pid)) == 3, "the birth of a worker", BIRTH)
        rig.kill()
        rig.wait()
        assert remains(mark, rig.pid, Possessions()) == []
