"""What becomes of a service to which something is done: second by second, on both sides."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sim.analysis.capacity import Step, capacity
from sim.analysis.quantile import quantile
from sim.experiment.disturbance_text import describe
from sim.reports.html.chart import LOST, MEASURED, PREDICTED, TEXT, Chart, chart
from sim.run import OK, OUTCOMES, UNFINISHED, Run
from site_docs.runs.evidence import Evidence

#: s between two points of a line.
STEP = 0.1

#: How the lines of either side are drawn.
STYLES: dict[str, Any] = {
    "predicted": {"color": PREDICTED, "linewidth": 4, "alpha": 0.5},
    "measured": {"color": MEASURED, "linewidth": 1.6},
}

#: What the marks mean.
KEY = (
    ("broad", "predicted"),
    ("line", "measured"),
    ("cross", "a request lost, measured"),
    ("dotted", "something is done to the service"),
)


def trouble(name: str, title: str, each: Evidence) -> Chart:
    """Threads that can serve, requests in the service, and requests lost, over time."""
    run = each.measured[0]
    end = _end(run)
    times = [round(STEP * number, 3) for number in range(int(end / STEP) + 2)]
    threads = each.experiment.server.threads
    inside = [_inside(variant, times) for variant in each.predicted]
    by_time = [sorted(values) for values in zip(*inside, strict=True)]
    disturbances = [
        {"at_s": disturbance.at, "what": describe(disturbance)}
        for disturbance in each.experiment.disturbances
    ]
    data: dict[str, Any] = {
        "units": {"time": "s", "threads": "threads that can serve", "requests": "number"},
        "disturbances": disturbances,
        "time_s": times,
        "threads": {
            "predicted": _steps(capacity(each.predicted[0].events, threads), times[-1]),
            "measured": _steps(capacity(run.events, threads), times[-1]),
        },
        "requests_inside": {
            "predicted_low": [quantile(values, 0.05) for values in by_time],
            "predicted": [quantile(values, 0.5) for values in by_time],
            "predicted_high": [quantile(values, 0.95) for values in by_time],
            "measured": _inside(run, times),
        },
        "lost": {"predicted": _lost(each.predicted[0]), "measured": _lost(run)},
    }

    def draw(both: Sequence[Axes]) -> None:
        above, below = both
        for side, style in STYLES.items():
            steps = data["threads"][side]
            above.step(
                [step["time_s"] for step in steps],
                [step["threads"] for step in steps],
                where="post",
                **style,
            )
        above.set_ylim(bottom=0)
        above.yaxis.set_major_locator(MaxNLocator(integer=True))
        above.set_ylabel("threads")
        counts = data["requests_inside"]
        below.fill_between(
            times,
            counts["predicted_low"],
            counts["predicted_high"],
            color=PREDICTED,
            alpha=0.2,
            linewidth=0,
        )
        for side, style in STYLES.items():
            below.plot(times, counts[side], **style)
        lost = data["lost"]["measured"]
        if lost:
            top = max(*counts["predicted_high"], *counts["measured"])
            below.plot(
                [row["time_s"] for row in lost],
                [-0.06 * top] * len(lost),
                "x",
                color=LOST,
                ms=6,
                clip_on=False,
            )
        below.set_ylabel("requests in the service")
        below.set_xlabel("time (s)")
        below.set_xlim(0, times[-1])
        for axes in both:
            for disturbance in each.experiment.disturbances:
                axes.axvline(disturbance.at, color=TEXT, linewidth=1, linestyle=":")

    return chart(name, title, _description(each), data, draw, key=KEY, height=360, rows=(1.0, 2.0))


def _description(each: Evidence) -> str:
    sentences = []
    for row in each.comparison.recovery:
        sides = []
        for side, cost in (("predicted", row.predicted), ("measured", row.measured)):
            time = cost.capacity_restored_after_s
            restored = "not back" if time is None else f"back after {time:.2f} s"
            sides.append(f"{side}: capacity {restored}, {cost.lost:.0f} lost")
        sentences.append(f"At {row.at_s:g} s, {row.what}. {'; '.join(sides)}.")
    return " ".join(sentences) or "Threads that can serve and requests in the service over time."


def _end(run: Run) -> float:
    finished = [time for time in run.requests.finished if not math.isnan(time)]
    last = max(finished, default=0.0)
    arrivals = max(run.requests.arrival, default=0.0)
    return max(arrivals, last)


def _inside(run: Run, times: Sequence[float]) -> list[int]:
    """How many requests have arrived and are not over, at each of the ``times``."""
    arrived = sorted(run.requests.arrival)
    over = sorted(time for time in run.requests.finished if not math.isnan(time))
    return [bisect_right(arrived, time) - bisect_right(over, time) for time in times]


def _steps(steps: Sequence[Step], end: float) -> list[dict[str, Any]]:
    """The capacity from the first arrival on, change by change."""
    before = [step.threads for step in steps if step.time <= 0]
    now = before[-1] if before else 0
    later = [(step.time, step.threads) for step in steps if 0 < step.time < end]
    known = [(0.0, now), *later, (end, later[-1][1] if later else now)]
    return [{"time_s": round(time, 4), "threads": threads} for time, threads in known]


def _lost(run: Run) -> list[dict[str, Any]]:
    rows = run.requests
    return [
        {"time_s": round(rows.finished[row], 3), "outcome": OUTCOMES[outcome]}
        for row, outcome in enumerate(rows.outcome)
        if outcome not in (OK, UNFINISHED)
    ]
