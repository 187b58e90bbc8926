"""What the rig refuses to probe, and what it leaves behind when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from reference_app.rig.measure import measure
from sim.errors import ExperimentError
from sim.experiment import Experiment, Probe, Proxy, Server


def test_nginx_and_a_readiness_probe_are_refused() -> None:
    """The rig cannot take a server out of a real nginx."""
    asked = Experiment(
        Server(), proxy=Proxy(kind="nginx"), probes=(Probe("readiness", period=10.0),)
    )
    with pytest.raises(ExperimentError, match="expected one of them"):
        measure(asked, 0, lambda *_: None)


def test_ctrl_c_while_the_container_is_down_leaves_nothing() -> None:
    """Its probe fails at once and for ever, so that it is ended, started, and ended again."""
    command = [sys.executable, "-m", "reference_app", "measure", "--workers", "1", "--rate", "5"]
    command += ["--duration", "60", "--replications", "1", "--io", "const:0.01", "--probe"]
    command += ["liveness period=0.2 timeout=0.1 failure_threshold=1 io=const:1"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        children: set[psutil.Process] = set()
        deadline = time.monotonic() + 20.0
        # The load generator, a master and its worker, and then another master.
        while len(children) <= 3 and time.monotonic() < deadline:
            children |= set(psutil.Process(process.pid).children(recursive=True))
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert len(children) > 3
    _, alive = psutil.wait_procs(children, timeout=3)
    assert alive == []
