"""The JSON document of `check`; its schema is ``sim/reports/schema/check.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sim.analysis.estimate import CONFIDENCE
from sim.experiment.document import to_dict
from sim.study.check.finding import Finding
from sim.study.check.linting import Linting
from sim.study.headroom import Headroom
from sim.study.observation import UNITS

SCHEMA = "gunicorn-check/1"


def check(
    lint: Linting,
    findings: Sequence[Finding],
    room: Headroom | None,
    notices: Sequence[str] = (),
    *,
    complete: bool = True,
) -> dict[str, Any]:
    """The document of ``python -m sim check --json``."""
    experiment = lint.subject.experiment
    return {
        "schema": SCHEMA,
        "complete": complete,
        "gunicorn": experiment.server.gunicorn,
        "experiment": to_dict(experiment),
        "confidence_level": CONFIDENCE,
        "findings": [_finding(finding) for finding in findings],
        "headroom": None
        if room is None
        else {
            "load": room.load,
            "today": room.requested,
            "holds": room.holds,
            "breaks": room.breaks,
        },
        "notices": list(notices),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level,
        "setting": finding.setting,
        "releases": finding.releases,
        "what": finding.what,
        "effect": finding.effect,
        "set": finding.mend,
        "page": finding.page,
        "replications": finding.replications,
        "measures": [
            {
                "measure": one.measure,
                "unit": UNITS[one.measure],
                "now": None if one.a is None else asdict(one.a),
                "mended": None if one.b is None else asdict(one.b),
                "difference": None if one.less is None else asdict(one.less),
            }
            for one in finding.contrasts
        ],
    }
