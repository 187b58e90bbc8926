"""Logs of a service that the model has run: what Gunicorn and nginx would have written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sim.experiment import Experiment, Proxy, Server, TraceRow, Traffic
from sim.study.backtest.prediction import Views, predicted_views

#: When the first request came, s since the epoch.
EPOCH = 1_795_860_000.0

GUNICORN = '%(t)s "%(r)s" %(s)s %(D)s %(p)s'
NGINX = '$msec "$request" $status $upstream_response_time'

#: Processor ids of the workers.
FIRST_PID = 4200


def requests_of(number: int, rate: float, scale: float = 1.0, seed: int = 5) -> list[TraceRow]:
    """Poisson arrivals of two routes; the slow one's times are ``scale`` as long later on."""
    random, now, rows = Random(seed), 0.0, []
    for place in range(number):
        now += random.expovariate(rate)
        longer = scale if 2 * place > number else 1.0
        if random.random() < 0.2:
            rows.append(TraceRow(now, longer * random.uniform(0.1, 0.12), 0.0, "/report"))
        else:
            rows.append(TraceRow(now, random.uniform(0.02, 0.04), 0.0, "/items/:id"))
    return rows


def served(rows: Sequence[TraceRow], server: Server, proxy: Proxy, seed: int = 3) -> Views:
    """What became of the requests, as both logs see it."""
    traffic = Traffic(arrivals="trace", trace=tuple(rows))
    return predicted_views(Experiment(server, traffic=traffic, proxy=proxy, seed=seed), 0)


def write_logs(folder: Path, views: Views) -> None:
    """Write ``gunicorn.log`` and ``nginx.log`` as both servers would, when requests end."""
    ours: list[tuple[float, str]] = []
    nginxs: list[tuple[float, str]] = []
    for view, lines in ((views.served, ours), (views.passed, nginxs)):
        for begin, took, worker, route in zip(
            view.begins, view.times, view.workers, view.routes, strict=True
        ):
            end = EPOCH + begin + took
            path = route.replace(":id", str(int(1000 * took)))
            request = f'"GET {path} HTTP/1.1" 200'
            if lines is ours:
                written = datetime.fromtimestamp(end, UTC).strftime("[%d/%b/%Y:%H:%M:%S +0000]")
                text = f"{written} {request} {round(1e6 * took)} <{FIRST_PID + worker}>"
            else:
                text = f"{end:.3f} {request} {took:.3f}"
            lines.append((end, text))
    for name, lines in (("gunicorn.log", ours), ("nginx.log", nginxs)):
        text = "".join(f"{line}\n" for _, line in sorted(lines))
        (folder / name).write_text(text, encoding="utf-8")
