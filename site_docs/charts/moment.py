"""One moment of a run: who waits where, and which thread runs what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from sim.analysis.visits import visits
from sim.reports.html.chart import NARROW, WIDE, Chart
from sim.run import Run

#: What the marks mean.
KEY = (("waits", "waits"), ("runs", "runs on a thread"), ("idle", "idle thread"))

#: px: sides of a row, of a thread, and the radius of a request.
ROW, THREAD, RADIUS = 58, 26, 6

#: px between the middles of two requests that wait: at ease, and where many do.
STEP, CLOSEST = 16, 9


def moment(name: str, title: str, run: Run, time: float) -> Chart:
    """The accept queue, and each worker with its queue and its threads, at that time (s)."""
    data = state_of(run, time)
    places = [f"accept queue: {data['accept_queue']} waiting"]
    places += [
        f"worker {worker['worker']}: {worker['busy']} of {worker['threads']} threads busy, "
        f"{worker['waiting']} waiting"
        for worker in data["workers"]
    ]
    description = f"At {time:.3f} s. " + "; ".join(places) + "."
    wide, narrow = (_svg(name, title, description, data, width) for width in (WIDE, NARROW))
    return Chart(name, title, description, data, KEY, wide, narrow)


def state_of(run: Run, time: float) -> dict[str, Any]:
    """Numbers of requests in each place at that time (s)."""
    server = run.experiment["server"]
    now = [visit for visit in visits(run) if visit.begin <= time < visit.end]
    return {
        "time_s": time,
        "accept_queue": sum(visit.place == "accept queue" for visit in now),
        "workers": [
            {
                "worker": worker,
                "threads": int(server["threads"]),
                "busy": sum(v.place == "thread" and v.worker == worker for v in now),
                "busy_threads": sorted(
                    v.thread for v in now if v.place == "thread" and v.worker == worker
                ),
                "waiting": sum(v.place == "worker queue" and v.worker == worker for v in now),
            }
            for worker in range(1, int(server["workers"]) + 1)
        ],
    }


def _svg(name: str, title: str, description: str, data: dict[str, Any], width: int) -> str:
    unique = f"{name}-{width}"
    workers = data["workers"]
    height = ROW * (1 + len(workers))
    rows = [*_row(0, width, "accept queue", data["accept_queue"], (), 0)]
    for place, worker in enumerate(workers, start=1):
        label = f"worker {worker['worker']}"
        rows += _row(
            place, width, label, worker["waiting"], worker["busy_threads"], worker["threads"]
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'class="moment" aria-labelledby="{unique}-title {unique}-description">'
        f'<title id="{unique}-title">{escape(title)}</title>'
        f'<desc id="{unique}-description">{escape(description)}</desc>{"".join(rows)}</svg>'
    )


def _row(
    place: int, width: int, label: str, waiting: int, busy: Sequence[int], threads: int
) -> Iterator[str]:
    """A place: its name, those that wait from the right to the left, and its threads."""
    top = place * ROW + 3
    middle = top + 26
    yield f'<rect class="place" x="1" y="{top}" width="{width - 2}" height="{ROW - 6}" rx="6"/>'
    yield f'<text x="10" y="{top + 18}" fill="var(--chart-text)">{label}</text>'
    right = width - 10 - threads * (THREAD + 4)
    step = max(CLOSEST, min(STEP, (right - 40) / max(1, waiting)))
    room = int((right - 40) // step)
    for number in range(min(waiting, room)):
        x = right - step * (number + 0.7)
        yield f'<circle class="waits" cx="{x:.0f}" cy="{middle}" r="{RADIUS - 1}"/>'
    if waiting > room:
        yield f'<text x="10" y="{middle + 4}" fill="var(--chart-text)">+{waiting - room}</text>'
    for thread in range(1, threads + 1):
        x = width - 8 - (threads - thread + 1) * (THREAD + 4)
        yield (
            f'<rect class="thread" x="{x}" y="{middle - THREAD // 2}" width="{THREAD}" '
            f'height="{THREAD}" rx="4"/>'
        )
        if thread in busy:
            yield f'<circle class="runs" cx="{x + THREAD // 2}" cy="{middle}" r="{RADIUS}"/>'
