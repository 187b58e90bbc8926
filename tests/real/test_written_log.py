"""The log that we say Gunicorn writes is the one that it writes.

Goal: texts, levels and which process writes which line, of three releases. Method: a running
service is disturbed; its process events are written out by `sim.analysis.gunicorn_log` and held
against its own log, line by line for each process; and against the prediction's log.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest

from reference_app.rig import releases
from reference_app.rig.client_process import replay
from reference_app.rig.disturber import disturber
from reference_app.rig.gunicorn_log import LogLine as RealLine
from reference_app.rig.gunicorn_log import worker_pids
from reference_app.rig.server import running_server
from sim.analysis.gunicorn_log import LogLine, gunicorn_log
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Crash, Disturbance, Hang, Signal
from sim.experiment.document import to_dict
from sim.model.simulation import predict
from sim.run import Run

#: The rig's own lines; and those of which no event tells: up to 23, a master that reloads sends
#: SIGTERM at each look, and a worker that is about to end without its handlers may die of it.
LEFT_OUT = re.compile(
    r"Worker \d+ (forked|ready|reaped|cannot boot)|A request (crashes|hangs|does not hang)"
    r"|.*(was sent SIGTERM|due to signal 15)"
)

#: What the clients ask for: a written log has no path.
WORK = "/work?io=0.01&cpu=0.0"

#: s by which a line and its event may differ: for most it is the same moment.
CLOSE = 0.2

TWO = Server(workers=2, threads=2, preload_app=True)
LIFE: tuple[Disturbance, ...] = (
    Signal(0.2, "KILL", worker=1),
    Crash(0.5, worker=2),
    Signal(0.8, "HUP", "master"),
    Signal(1.6, "TERM", "master"),
)
LATE: tuple[Disturbance, ...] = (Hang(0.2, 1, 1, 30.0),)

CASES = {
    "life of 27": (TWO, LIFE, None),
    "sync timeout of 27": (Server(workers=2, timeout=1, preload_app=True), LATE, None),
    "life of 23": (TWO, LIFE, "23.0.0"),
    "life of 20.1": (TWO, LIFE, "20.1.0"),
}


def by_process(lines: Iterable[LogLine]) -> dict[int, list[tuple[str, str]]]:
    """Levels and texts of each process, by its number."""
    texts: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for line in lines:
        texts[line.pid].append((line.level, line.text))
    return dict(texts)


def real_log(lines: list[RealLine], master: int, start: float, port: str) -> list[LogLine]:
    """Gunicorn's own lines, with the numbers and the address that a written log has."""
    numbers = {master: 1} | {pid: number + 1 for number, pid in worker_pids(lines).items()}
    found = []
    for line in lines:
        if LEFT_OUT.match(line.message):
            continue
        text = line.message.replace(port, "127.0.0.1:8000").replace(WORK, "/")
        # Longest first: one number may be a part of another.
        for pid in sorted(numbers, key=lambda each: -len(str(each))):
            text = re.sub(rf"(?<=[:( ]){pid}\b", str(numbers[pid]), text)
        found.append(LogLine(line.time - start, numbers[line.pid], line.level, text))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_written_log_is_gunicorns(case: str) -> None:
    server, disturbances, release = CASES[case]
    gunicorn = None if release is None else releases.gunicorn(release, lambda _: None)
    if release is not None:
        server = replace(server, gunicorn=release)
    experiment = Experiment(
        server,
        traffic=Traffic(rate=40.0, duration=2.2, io=Distribution("const", (0.01,)), timeout=3.0),
        disturbances=disturbances,
        replications=1,
    )
    with running_server(experiment, gunicorn=gunicorn) as service:
        with disturber(experiment.disturbances, service) as disturbing:
            result = replay(experiment, 0, service.addresses, disturbing.begin, lambda *_: None)
        time.sleep(0.5)
        lines, events = service.lines(), service.events(result.start)
        port = f"127.0.0.1:{service.port}"
        master = service.master_pid
    merged = tuple(sorted((*disturbing.events, *events), key=lambda event: event.time))
    run = Run("reference_app", to_dict(experiment), 0, result.requests, merged)
    written = gunicorn_log(run)
    own = real_log(lines, master, result.start, port)
    assert by_process(written) == by_process(own)
    assert by_process(gunicorn_log(predict(experiment))) == by_process(written)
    for ours, theirs in zip(sorted(written), sorted(own), strict=True):
        assert abs(ours.time - theirs.time) < CLOSE
