"""Predictions in the playground: this module runs in the page, on Pyodide, and as it is on CPython.

The page sends the arguments of a command line, and `Prediction` answers with what ``python -m sim
--machines 0 --json`` prints for them, byte for byte: a band of machines takes longer than a reader
waits. It predicts for some milliseconds a call, so that the page
can show what is known so far, and stop.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from sim.analysis.binding import binding
from sim.analysis.picture import picture
from sim.analysis.sample import Sample, sample_of
from sim.analysis.summary import Summary, summary_of
from sim.cli import COMMANDS, NOT_KEPT, is_long
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server
from sim.experiment.document import to_dict
from sim.model.simulation import PausedPrediction, predict
from sim.reading import gunicorn_config, gunicorn_flags
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from sim.reports.document import document
from sim.run import Run
from sim.run.occupation import occupied_until
from sim.run.one_more_request import with_one_more
from sim.study.compare import SIDES, contrasts
from sim.study.documents import compared
from sim.study.observation import Observation, observe
from sim.study.trial import Trial

#: Moments of a run at which busy threads and waiting requests are counted.
MOMENTS = 240

#: What a pasted configuration is called.
CONFIGURATION = "gunicorn.conf.py"

#: Requests of a run that the page shows one by one, at most.
MOST_ROWS = 20_000

#: Calls of the model's clock between two looks at the time: about 10 ms in a page.
CALLS = 1_000

#: Progress of a replication that is not over, at most.
NEARLY = 0.99


def stand_in() -> None:
    """Give Gunicorn what it imports for its settings ``user`` and ``group``, and Pyodide lacks.

    `gunicorn.config` does so whatever is set. In a page there is one user, and no other is known.
    """
    if sys.platform != "emscripten":
        return
    for name, function in (("pwd", "getpwnam"), ("grp", "getgrnam")):
        if name not in sys.modules:
            module = ModuleType(name)
            setattr(module, function, _nobody)
            sys.modules[name] = module
    for name in ("geteuid", "getegid"):
        if not hasattr(os, name):
            setattr(os, name, lambda: 0)


def _nobody(name: str) -> None:
    raise KeyError(f"{name!r} is not known in a web page")


def parser() -> OneLineParser:
    """A parser of the flags of an experiment, as ``python -m sim`` has them."""
    stand_in()
    flags = OneLineParser(prog="python -m sim", commands=COMMANDS, add_help=False)
    add_experiment_arguments(flags)
    return flags


def experiment_of(arguments: Sequence[str]) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment that a command line describes, and its notices.

    A configuration is never run, only read (``--literal``).

    Raises:
        ExperimentError: when the arguments cannot be understood.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            args = parser().parse_args(arguments)
            args.literal = args.config is not None
            return experiment_from(args)
    except SystemExit:
        message = " ".join(printed.getvalue().split()).removeprefix("error: ")
        raise ExperimentError(message or "the flags are not understood") from None


class Prediction:
    """One experiment, predicted replication by replication.

    Attributes:
        experiment: what is predicted.
        notices: as ``--json`` has them.
        samples: of the replications so far.
        observations: of the same, for a comparison.
        first: the run of the first replication; None before it.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.experiment, notices = experiment_of(arguments)
        self._keep_rows = not is_long(self.experiment)
        self.notices = notices if self._keep_rows else (*notices, NOT_KEPT)
        self.samples: list[Sample] = []
        self.observations: list[Observation] = []
        self.first: Run | None = None
        self._current: PausedPrediction | None = None

    @property
    def replications(self) -> int:
        """How many there are to be."""
        return self.experiment.replications

    def advance(self, seconds: float, *, compared: bool = False) -> float:
        """Predict for about so long, but at most to the end of a replication.

        Args:
            seconds: s of real time.
            compared: whether `difference` is to be asked.

        Returns:
            How many replications there are by then, with the part of the one under way.
        """
        until = time.monotonic() + seconds
        if self._current is None:
            self._current = PausedPrediction(
                self.experiment, len(self.samples), keep_rows=self._keep_rows
            )
        while not self._current.advance(CALLS):
            if time.monotonic() >= until:
                return len(self.samples) + min(self._current.progress(), NEARLY)
        run = self._current.run()
        self._current = None
        if self.first is None:
            self.first = run
        self.samples.append(sample_of(run))
        if compared:
            self.observations.append(observe(run))
        return len(self.samples)

    def step(self, *, compared: bool = False) -> int:
        """Predict to the end of a replication; returns how many there are by then."""
        return int(self.advance(math.inf, compared=compared))

    def understood(self) -> str:
        """As JSON: the ``experiment`` with every default, and the ``notices``."""
        return json.dumps({"experiment": to_dict(self.experiment), "notices": self.notices})

    def summary(self) -> Summary:
        """What the replications so far say together; there must be one."""
        assert self.first is not None, "a replication was predicted"
        return summary_of(self.first, self.samples)

    def document(self) -> str:
        """What ``python -m sim --json`` prints, once all replications are there."""
        value = document(self.summary(), self.notices)
        return json.dumps(value, indent=2, allow_nan=False) + "\n"

    def answer(self) -> str:
        """As JSON: the ``document``, what ``binds``, the ``course`` of the first replication."""
        summary = self.summary()
        return json.dumps(
            {
                "document": document(summary, self.notices),
                "binds": binding(summary),
                "course": None if self.first is None else course(self.first),
            },
            allow_nan=False,
        )

    def run(self) -> str:
        """The first replication as JSON, for the picture that moves: `sim.analysis.picture`.

        Without its rows, or with more than `MOST_ROWS`, it is null.
        """
        assert self.first is not None, "a replication was predicted"
        if not 0 < len(self.first.requests) <= MOST_ROWS:
            return "null"
        return json.dumps(picture(self.first), allow_nan=False)

    def run_with(self, sent: Sequence[float]) -> str:
        """The first replication with more requests, which the reader sends by hand; as `run`.

        Each waits and computes as long as a request does on average.

        Args:
            sent: when, s since the start of the run.

        Raises:
            ExperimentError: in a closed loop.
        """
        traffic = self.experiment.traffic
        experiment = self.experiment
        for at in sorted(sent):
            experiment = with_one_more(experiment, at, traffic.mean_io, traffic.mean_cpu)
        return json.dumps(picture(predict(experiment)), allow_nan=False)


def difference(a: Prediction, b: Prediction) -> str:
    """As JSON: what ``python -m sim compare --json`` says of two servers on the same requests."""
    known = {
        Trial(side, number): observation
        for side, prediction in zip(SIDES, (a, b), strict=True)
        for number, observation in enumerate(prediction.observations)
    }
    replications = min(len(a.observations), len(b.observations))
    experiments = {"A": to_dict(a.experiment), "B": to_dict(b.experiment)}
    names = {side: side for side in experiments}
    document_ = compared(experiments, names, contrasts(replications, known), replications)
    return json.dumps(document_, allow_nan=False)


def configuration(text: str, cores: int) -> str:
    """As JSON: the ``flags`` that say what a ``gunicorn.conf.py`` says, and ``notices``.

    It is read, not run: what is not literal in it is named in a notice.

    Args:
        text: the file.
        cores: processors that it counts, where it does.

    Raises:
        ExperimentError: when it is no Python, or sets what Gunicorn or the model refuses.
    """
    stand_in()
    path = Path(CONFIGURATION)
    path.write_text(text, encoding="utf-8")
    try:
        read = gunicorn_config.read(CONFIGURATION, cores, literal=True)
    finally:
        path.unlink()
    known = gunicorn_config.known_settings()
    flags: list[tuple[str, str | None]] = []
    for name, value in read.settings.items():
        flag = known[name].cli[-1]
        if isinstance(value, bool):
            flags += [(flag, None)] if value else []
        else:
            flags.append((flag, str(value)))
    if read.postfork:
        flags += [("--launchdarkly", None), ("--launchdarkly-postfork", None)]
    if read.gc_freeze:
        flags.append(("--gc-freeze", None))
    notices = [
        *read.notices,
        *gunicorn_flags.not_modelled(
            CONFIGURATION,
            (*read.ignored, *read.harmless),
            read.settings.get("worker_class", Server().worker_class),
        ),
    ]
    return json.dumps({"flags": flags, "notices": notices})


def course(run: Run) -> dict[str, list[float]]:
    """How many requests run and how many wait for a thread, over the time of a run.

    Returns:
        Columns ``time`` (s), ``running`` and ``waiting``; empty where no rows were kept.
    """
    rows = run.requests
    if not len(rows):
        return {"time": [], "running": [], "waiting": []}
    finished = [value for value in rows.finished if value == value]  # noqa: PLR0124 - not NaN
    end = max([*finished, rows.arrival[-1]])
    starts, leaves, arrivals, gone = [], [], [], []
    for row in range(len(rows)):
        arrived, started, known = rows.arrival[row], rows.started[row], rows.finished[row]
        arrivals.append(arrived)
        if started == started:  # noqa: PLR0124 - not NaN
            starts.append(started)
            gone.append(started)
            demand = rows.io[row] + rows.cpu[row]
            leaves.append(occupied_until(started, known, rows.outcome[row], demand, end))
        else:
            gone.append(known if known == known else end)  # noqa: PLR0124 - not NaN
    for column in (starts, leaves, arrivals, gone):
        column.sort()
    times = [end * moment / MOMENTS for moment in range(MOMENTS + 1)]
    return {
        "time": times,
        "running": [bisect_right(starts, at) - bisect_right(leaves, at) for at in times],
        "waiting": [bisect_right(arrivals, at) - bisect_right(gone, at) for at in times],
    }
