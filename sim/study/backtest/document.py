"""The JSON document of `backtest`; its schema is ``sim/reports/schema/backtest.schema.json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.experiment.document import to_dict
from sim.study.backtest.answer import Answer
from sim.study.backtest.figures import PASSED, SERVED, SHARE, THROUGHPUT, WAIT
from sim.study.backtest.judgement import Beside
from sim.study.backtest.served import Interval
from sim.validation.verdict import MEDIAN, WORST
from sim.validation.verdict import SHARE as MOST_SHARE

SCHEMA = "gunicorn-backtest/1"


def document(answer: Answer) -> dict[str, Any]:
    """The document of ``python -m sim backtest --json``."""
    experiment, past, judgement = to_dict(answer.experiment), answer.past, answer.judgement
    # A placeholder stands there; the requests are in the log.
    del experiment["traffic"]["trace"]
    return {
        "schema": SCHEMA,
        "gunicorn": answer.gunicorn,
        "experiment": experiment,
        "learnt": {
            "requests": answer.learnt,
            "recorded": answer.recorded,
            "begin": None if answer.recorded else past.learnt.arrival[0],
            "end": None if answer.recorded else past.learnt.arrival[-1],
        },
        "judged": {
            "requests": len(past.judged),
            "of": past.total,
            "begin": past.begin,
            "end": past.end,
            "lost": judgement.lost,
        },
        "runs": answer.replications,
        "targets": {"median": MEDIAN, "worst": WORST, "share": MOST_SHARE},
        "trust": judgement.trust,
        "figures": [{**asdict(figure), "unit": _unit(figure.name)} for figure in judgement.figures],
        "interval_s": answer.seconds,
        "intervals": [_interval(beside) for beside in judgement.intervals],
        "routes": [{"name": name, **_beside(each)} for name, each in judgement.routes.items()],
        "advice": list(answer.advice),
        "notices": list(answer.notices),
    }


def _beside(beside: Beside) -> dict[str, Any]:
    return {
        "requests": beside.logged.requests,
        "mean": {"logged": beside.logged.mean, "predicted": beside.mean},
        "p95": {"logged": beside.logged.p95, "predicted": beside.p95},
    }


def _interval(beside: Beside) -> dict[str, Any]:
    assert isinstance(beside.logged, Interval), "one of time"
    return {**_beside(beside), "busy": {"logged": beside.logged.busy, "predicted": beside.busy}}


def _unit(name: str) -> str:
    if name.startswith(SHARE):
        return "share"
    if name == WAIT or name.startswith((SERVED, PASSED)):
        return "s"
    return "1/s" if name == THROUGHPUT else "requests"
