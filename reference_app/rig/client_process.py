"""Runs the load generator in a process of its own.

Microseconds on the client's core decide which worker accepts a connection, so it must always be the
same client. Of three workers, the one that registered last got 34 % of the connections from a
process that had imported pytest, and 45 % from one that had not. This process imports
what the load generator needs and nothing else, whoever asks for the measurement.

The parent pickles the task to its stdin. On its stdout come the start as a float, before it is
there, then a tuple for each report of progress, and at the end a `Replay`.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reference_app.rig.address import Address
from reference_app.rig.client import LoadGenerator, Progress
from reference_app.rig.endpoints import Endpoints
from reference_app.rig.network import Network, enter
from reference_app.rig.parent import end_with_parent
from reference_app.rig.pinning import pin, pinning
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.run import Requests
from sim.run.arrivals import source

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the load generator saw.

    Attributes:
        start: CLOCK_MONOTONIC at the first moment of the run, s.
        requests: the source's rows, with ``finished`` and ``outcome``.
        answers: body of each row's answer; empty where there is none.
    """

    start: float
    requests: Requests
    answers: list[bytes]


@dataclass(frozen=True, slots=True)
class _Task:
    experiment: Experiment
    replication: int
    addresses: tuple[Address, ...]
    parent: int
    endpoints: int | None
    namespace: int | None


def replay(
    experiment: Experiment,
    replication: int,
    addresses: tuple[Address, ...],
    began: Callable[[float], None],
    progress: Progress,
    endpoints: Endpoints | None = None,
    between: Network | None = None,
) -> Replay:
    """Send one replication to the server at these addresses; the process is gone afterwards.

    Args:
        experiment: whose requests to send.
        replication: which of them.
        addresses: of the server's pods; without a rollout, one.
        began: called with the start of the run, CLOCK_MONOTONIC s, shortly before it.
        progress: called now and then.
        endpoints: which pod clients find; always the first, if None.
        between: network at whose other end the process is; where this one is, if None.

    Raises:
        ExperimentError: when the process ends without a result.
    """
    endpoints_fd = None if endpoints is None else endpoints.fd
    namespace = None if between is None else between.clients
    with subprocess.Popen(
        [sys.executable, "-c", "from reference_app.rig.client_process import serve; serve()"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # As the server: see `reference_app.rig.server`.
        process_group=0,
        pass_fds=[fd for fd in (endpoints_fd, namespace) if fd is not None],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pinned = pinning(experiment.host)
            if pinned is not None:
                pin(process.pid, pinned.clients)
            task = _Task(experiment, replication, addresses, os.getpid(), endpoints_fd, namespace)
            pickle.dump(task, process.stdin)
            process.stdin.close()
            while not isinstance(message := pickle.load(process.stdout), Replay):  # noqa: S301
                if isinstance(message, float):
                    began(message)
                else:
                    progress(*message)
        except (EOFError, BrokenPipeError):
            raise ExperimentError(
                f"the load generator ended with {process.wait()}; expected a result"
            ) from None
        finally:
            process.kill()
    return message


def serve() -> None:
    """Be that process: read the task, do it, and write what came of it."""
    task: _Task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    end_with_parent(task.parent, signal.SIGKILL)
    if task.namespace is not None:
        enter(task.namespace)
    out = sys.stdout.buffer
    rows = source(task.experiment, task.replication)
    endpoints = None if task.endpoints is None else Endpoints.attach(task.endpoints)
    generator = LoadGenerator(task.experiment, task.replication, rows, task.addresses, endpoints)

    def tell(message: object) -> None:
        pickle.dump(message, out)
        out.flush()

    requests = generator.run(tell, lambda *report: tell(report))
    tell(Replay(generator.start, requests, generator.answers))
