"""How the reports of studies write configurations and numbers."""

from __future__ import annotations

from sim.analysis.estimate import Estimate
from sim.experiment import Experiment, Server
from sim.study.observation import UNITS
from sim.study.parameter import Point

#: What stands where there is no number.
NONE = "-"

#: By which the numbers of each unit are multiplied to be read.
SCALE = {"s": 1000.0, "1/s": 1.0, "share": 100.0, "requests": 1.0}

#: Headings of the measures.
HEADINGS = {
    **{name: f"{name}, ms" for name in ("mean", "p50", "p90", "p95", "p99", "max", "wait")},
    "throughput": "answers/s",
    "busy": "threads busy, %",
    "lost": "lost, %",
    "restored": "capacity back, ms",
    "drained": "queue empty, ms",
    "meanwhile": "p99 meanwhile, ms",
    "gone": "lost to it",
    "late": "late",
}


def configuration(point: Point) -> str:
    """A server in a few words: ``gthread 2 x 4, worker_connections 4``."""
    values, usual = dict(point), Server()
    if values["worker_class"] == "sync":
        words = [f"sync, {count(int(values['workers']), 'worker')}"]
    else:
        words = [f"gthread {values['workers']} x {values['threads']}"]
    if values["worker_connections"] != usual.worker_connections:
        words.append(f"worker_connections {values['worker_connections']}")
    if values["reuse_port"]:
        words.append("reuse_port")
    if values["max_requests"]:
        words.append(f"max_requests {values['max_requests']}")
    return ", ".join(words)


def traffic(base: Experiment) -> str:
    """The requests and the host, in a few words."""
    asked = base.traffic
    demand = f"io {asked.io} s, cpu {asked.cpu} s"
    what = {
        "poisson": f"{asked.rate:g} requests/s at random (poisson), {demand}",
        "constant": f"{asked.rate:g} requests/s at even distances, {demand}",
        "closed": f"{asked.users} users in a closed loop, think {asked.think} s, {demand}",
        "trace": f"a trace of {len(asked.trace):,} requests",
    }[asked.arrivals]
    return f"{what}; {count(base.host.cores, 'core')}"


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def ms(seconds: float | None) -> str:
    """A time as about three digits of milliseconds."""
    if seconds is None:
        return "never"
    value = 1000 * seconds
    return f"{value:,.{_decimals(value)}f} ms"


def number(value: float, measure: str) -> str:
    """A number of a measure, without its unit; see `HEADINGS`."""
    scaled = SCALE[UNITS[measure]] * value
    return f"{scaled:,.{_decimals(scaled)}f}"


def value_of(estimate: Estimate | None, measure: str) -> str:
    """The value of an estimate, without its unit."""
    return NONE if estimate is None else number(estimate.value, measure)


def half_width_of(estimate: Estimate | None, measure: str) -> str:
    """What stands after plus-minus."""
    if estimate is None or estimate.half_width is None:
        return NONE
    scaled = SCALE[UNITS[measure]]
    decimals = _decimals(scaled * estimate.value)
    return f"{scaled * estimate.half_width:,.{decimals}f}"


def percent(share: float | None) -> str:
    """A probability, which is never quite certain."""
    if share is None:
        return NONE
    if share > 0.999:
        return "> 99.9%"
    return "< 0.1%" if share < 0.001 else f"{100 * share:.1f}%"


def megabytes(memory: float | None) -> str:
    """Bytes as MB, without the unit."""
    return NONE if memory is None else f"{memory / 1e6:,.0f}"


def _decimals(value: float) -> int:
    return 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
