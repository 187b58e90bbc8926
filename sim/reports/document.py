"""A summary as the JSON document that ``--json`` prints.

Its schema, with a description of every key, is ``sim/reports/schema/summary.schema.json``. Every
number is finite; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sim.analysis.band import MEASURES, Band, Interval
from sim.analysis.estimate import CONFIDENCE, Estimate
from sim.analysis.summary import Route, Summary, Times
from sim.analysis.throttling import Throttling
from sim.run import Memory

SCHEMA = "gunicorn-summary/1"

#: ``mean``, ``p50``, ... in order.
_MEASURES = tuple(field.name for field in fields(Times))


def document(summary: Summary, notices: Sequence[str] = ()) -> dict[str, Any]:
    """The document, ready for `json.dumps`.

    Args:
        summary: what to write.
        notices: sentences about the experiment, such as a setting that the interpreter does not
            know; the reasons of an overload are put before them.
    """
    load = summary.load
    return {
        "schema": SCHEMA,
        "source": summary.source,
        "gunicorn": summary.gunicorn,
        "experiment": summary.experiment,
        "replications": summary.replications,
        "latency_s": _times(summary.latency),
        "wait_s": _times(summary.wait),
        "ideal": _times(summary.ideal_latency),
        "throughput_rps": _value(summary.throughput),
        "utilization": _value(summary.utilization),
        "confidence": {
            "level": CONFIDENCE,
            "latency_s": _intervals(summary.latency),
            "wait_s": _intervals(summary.wait),
            "ideal": _intervals(summary.ideal_latency),
            "throughput_rps": _interval(summary.throughput),
            "utilization": _interval(summary.utilization),
            "workers": [
                {
                    "boot_order": worker.boot_order,
                    "requests": _interval(worker.requests),
                    "share": _interval(worker.share),
                    "utilization": _interval(worker.utilization),
                }
                for worker in summary.workers
            ],
        },
        "outcomes": dict(summary.outcomes),
        "workers": [
            {
                "boot_order": worker.boot_order,
                "requests": worker.requests.value,
                "share": _value(worker.share),
                "utilization": _value(worker.utilization),
            }
            for worker in summary.workers
        ],
        "queues": [
            {
                "place": queue.place,
                "time_average": queue.time_average.value,
                "largest": queue.largest,
            }
            for queue in summary.queues
        ],
        "recovery": [asdict(row) for row in summary.recovery],
        "losses": None if summary.losses is None else [asdict(row) for row in summary.losses],
        "restarts": None if summary.restarts is None else asdict(summary.restarts),
        "events": [
            {"time_s": event.time, "kind": event.kind, "process": event.process}
            for event in summary.events
        ],
        "resources": [
            {
                "boot_order": row.worker,
                "threads": row.threads,
                "flag_connections": row.flag_connections,
            }
            for row in summary.census
        ],
        "memory": _memory(summary.memory),
        "kubelet": None if summary.kubelet is None else asdict(summary.kubelet),
        **({"routes": _routes(summary.routes)} if summary.routes else {}),
        "throttling": _throttling(summary.throttling),
        "band": _band(summary.band),
        "offered_load": load.offered,
        "capacity": load.capacity,
        "overloaded": summary.overloaded,
        "notices": [*load.reasons, *notices],
    }


def _memory(memory: Memory | None) -> dict[str, int | None] | None:
    if memory is None:
        return None
    return {f"{name}_bytes": value for name, value in memory._asdict().items()}


def _band(band: Band | None) -> dict[str, Any] | None:
    if band is None:
        return None
    return {
        "machines": band.machines,
        "replications": band.replications,
        "latency_s": {name: _ends(band.latency.get(name)) for name in MEASURES},
        "lost": _ends(band.lost),
        "workers": [
            {"boot_order": order, "share": _ends(share)} for order, share in band.shares.items()
        ],
    }


def _ends(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval._asdict()


def _throttling(throttling: Throttling | None) -> dict[str, float | None] | None:
    if throttling is None:
        return None
    return {
        "cpu_limit": throttling.cpu_limit,
        "periods": throttling.periods.value,
        "throttled": throttling.throttled.value,
        "share": throttling.share.value,
        "throttled_s": throttling.throttled_s.value,
        "used": _value(throttling.used),
    }


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _interval(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return {"low": estimate.low, "high": estimate.high}


def _routes(routes: Sequence[Route]) -> list[dict[str, Any]]:
    """A row for each route, the intervals beside the values."""
    return [
        {
            "route": route.name,
            "requests": _value(route.requests),
            "latency_s": _times(route.latency),
            "wait_s": _times(route.wait),
            "lost": _value(route.lost),
            "confidence": {
                "latency_s": _intervals(route.latency),
                "wait_s": _intervals(route.wait),
                "lost": _interval(route.lost),
            },
        }
        for route in routes
    ]


def _times(times: Times | None) -> dict[str, float | None]:
    return {name: _value(getattr(times, name, None)) for name in _MEASURES}


def _intervals(times: Times | None) -> dict[str, dict[str, float] | None]:
    return {name: _interval(getattr(times, name, None)) for name in _MEASURES}
