"""The answers of studies as the JSON documents that ``--json`` prints.

Their schemas, with a description of every key, are in ``sim/reports/schema/``: ``size``, ``sweep``
and ``difference``. Every number is finite; what is not known, or without end, is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sim.analysis.estimate import CONFIDENCE, Estimate
from sim.experiment.document import to_dict
from sim.study.compare import Contrast, verdict
from sim.study.death import Death
from sim.study.headroom import Headroom
from sim.study.neighbours import Neighbours
from sim.study.observation import (
    DISTURBED,
    OF_ROUTES,
    UNITS,
    Observation,
    difference,
    estimate,
    measure_of,
    routes_in,
    unit_of,
)
from sim.study.parameter import Point
from sim.study.question import Judged
from sim.study.sizing import Answer, Choice
from sim.study.sweep import Row, Sweep
from sim.study.upgrade import Cost, Upgrade
from sim.study.what_if import WhatIf

SIZE = "gunicorn-size/1"
SWEEP = "gunicorn-sweep/1"
DIFFERENCE = "gunicorn-difference/1"


def size(answer: Answer, notices: Sequence[str] = ()) -> dict[str, Any]:
    """The document of ``python -m sim size --json``."""
    question = answer.question
    first = question.objectives[0].measure
    floors = {floor.measure: floor.value for floor in question.floored}

    def row(choice: Choice | None) -> dict[str, Any] | None:
        if choice is None:
            return None
        less = None
        if answer.best is not None:
            reference = answer.best.judged.observations
            less = difference(choice.judged.observations, reference, first)
        return {
            "memory_bytes": choice.candidate.memory,
            **_judged(choice.judged),
            "difference": None if choice == answer.best else _estimate(less),
            "death": None if choice.death is None else _death(choice.death),
        }

    return {
        "schema": SIZE,
        "complete": answer.complete,
        "gunicorn": question.base.server.gunicorn,
        "experiment": to_dict(question.base),
        "objectives": [
            {"measure": o.measure, "limit": o.limit, "floor": floors.get(o.measure)}
            for o in question.objectives
        ],
        "limits": {
            "cores": question.limits.cores,
            "workers": question.limits.workers,
            "threads": question.limits.threads,
            "memory_bytes": question.limits.memory,
        },
        "confidence_level": CONFIDENCE,
        "answer": row(answer.best),
        "alternatives": [row(choice) for choice in answer.alternatives],
        "misses": [row(choice) for choice in answer.misses],
        "present": row(answer.present),
        "closest": row(answer.closest),
        "headroom": None if answer.headroom is None else _headroom(answer.headroom),
        "what_ifs": [_what_if(what) for what in answer.what_ifs],
        "candidates": {
            "all": len(question.candidates),
            "tried": answer.tried,
            "overloaded": answer.overloaded,
        },
        "notices": list(notices),
    }


def sweep(
    study: Sweep, rows: Sequence[Row], notices: Sequence[str] = (), *, complete: bool = True
) -> dict[str, Any]:
    """The document of ``python -m sim sweep --json``."""
    return {
        "schema": SWEEP,
        "complete": complete,
        "gunicorn": study.base.server.gunicorn,
        "experiment": to_dict(study.base),
        "parameters": [
            {"name": parameter.name, "values": list(parameter.values)}
            for parameter in study.parameters
        ],
        "confidence_level": CONFIDENCE,
        "rows": [
            {
                "point": dict(row.point),
                "replications": len(row.observations),
                "measures": _measures(row.observations),
            }
            for row in rows
        ],
        "notices": list(notices),
    }


def _releases(experiments: Mapping[str, dict[str, Any]]) -> str:
    """Of Gunicorn, of all sides; one, if that is the same for all."""
    return " and ".join(dict.fromkeys(each["server"]["gunicorn"] for each in experiments.values()))


def compared(
    experiments: Mapping[str, dict[str, Any]],
    names: Mapping[str, str],
    contrasts: Sequence[Contrast],
    replications: int,
    notices: Sequence[str] = (),
    upgrade: Upgrade | None = None,
    *,
    complete: bool = True,
) -> dict[str, Any]:
    """The document of ``python -m sim compare --json``; keys of the mappings are A and B."""
    return {
        "schema": DIFFERENCE,
        "complete": complete,
        "gunicorn": _releases(experiments),
        "names": dict(names),
        "experiments": dict(experiments),
        "replications": replications,
        "confidence_level": CONFIDENCE,
        "measures": [_contrast(contrast) for contrast in contrasts],
        "verdict": verdict(contrasts),
        "upgrade": None if upgrade is None else _upgrade(upgrade),
        "notices": list(notices),
    }


def neighbours(changed: Neighbours) -> dict[str, Any]:
    """What neighbours of a server do: a part of the document of ``python -m sim --json``."""
    return {
        "replications": changed.replications,
        "confidence_level": CONFIDENCE,
        "changes": [
            {
                "setting": each.setting,
                "measures": [_contrast(contrast) for contrast in each.contrasts],
            }
            for each in changed.changes
        ],
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "measure": contrast.measure,
        "unit": unit_of(contrast.measure),
        "a": _estimate(contrast.a),
        "b": _estimate(contrast.b),
        "difference": _estimate(contrast.less),
        "finding": contrast.finding,
    }


def _upgrade(changed: Upgrade) -> dict[str, Any]:
    a, b = changed.busiest
    return {
        "busiest_worker_share": {"a": _estimate(a), "b": _estimate(b)},
        "troubles": [
            {
                "trouble": one.name,
                "replications": one.replications,
                "a": _cost(one.a),
                "b": _cost(one.b),
            }
            for one in changed.troubled
        ],
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "lost": _estimate(cost.lost),
        "delayed": _estimate(cost.late),
        "capacity_restored_after_s": cost.restored,
    }


def _judged(one: Judged) -> dict[str, Any]:
    return {
        "settings": _settings(one.point),
        "decision": "overloaded" if one.overload else one.verdict.decision,
        "replications": one.verdict.replications,
        "confidence": one.verdict.confidence if one.observations else None,
        "measures": _measures(one.observations),
        "overload": list(one.overload),
    }


def _settings(point: Point) -> dict[str, Any]:
    return dict(point)


def _measures(observed: Sequence[Observation]) -> dict[str, Any]:
    """Every measure of runs without a disturbance; the others where there was one."""
    disturbed = any(each.gone is not None for each in observed)
    measures = [measure for measure in UNITS if disturbed or measure not in DISTURBED]
    measures += [measure_of(route, name) for route in routes_in(observed) for name in OF_ROUTES]
    return {measure: _estimate(estimate(observed, measure)) for measure in measures}


def _estimate(estimate_: Estimate | None) -> dict[str, float | None] | None:
    return None if estimate_ is None else asdict(estimate_)


def _death(died: Death) -> dict[str, Any]:
    return {
        "at_s": died.at,
        "replications": died.replications,
        "capacity_restored_after_s": died.restored,
        "queue_drained_after_s": died.drained,
        "p99_meanwhile_s": died.meanwhile,
        "lost": died.lost,
        "delayed": died.late,
    }


def _headroom(room: Headroom) -> dict[str, Any]:
    return {
        "load": room.load,
        "asked": room.requested,
        "holds": room.holds,
        "breaks": room.breaks,
        "tried": [
            {"load": value, **{key: _judged(one)[key] for key in ("decision", "replications")}}
            for value, one in room.judgements
        ],
    }


def _what_if(what: WhatIf) -> dict[str, Any]:
    return {"limits": list(what.limits), **_judged(what.judged)}
