"""Texts about what stands in front of Gunicorn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.analysis.summary import Summary
from sim.experiment.proxy import UNLIMITED, Proxy, proxy_of

#: What a report calls each kind.
NAMES: Mapping[str, str] = {"nginx": "nginx", "alb": "a load balancer"}

DAY = 86_400  # s


def connections(experiment: Mapping[str, Any]) -> str:
    """How clients, proxy and server together treat connections to Gunicorn."""
    server, proxy = experiment["server"], proxy_of(experiment)
    closes = server["worker_class"] == "sync" or server["keepalive"] == 0
    if proxy.present:
        return f"through {NAMES[proxy.kind]}, {_upstream(proxy, closes=closes)}"
    if experiment["traffic"]["connection"] == "new":
        return "a new connection each"
    return "a new connection each, which the server closes" if closes else "connections kept alive"


def _upstream(proxy: Proxy, *, closes: bool) -> str:
    if not proxy.kept:
        return "which opens a connection to Gunicorn for each request"
    if closes:
        return "with a new connection each, which Gunicorn closes"
    limit = "" if proxy.kept == UNLIMITED else f"up to {proxy.kept} "
    return f"which keeps {limit}idle connections for {proxy.idle_timeout:g} s"


def race_paragraph(summary: Summary) -> str | None:
    """How many requests a day meet a connection that Gunicorn closes, and what ends that."""
    if summary.losses is None or summary.throughput is None:
        return None
    lost = sum(loss.requests for loss in summary.losses if loss.cause == "keepalive_race")
    if not lost:
        return None
    each = summary.requests / summary.replications
    a_day = lost / each * summary.throughput.value * DAY
    keepalive = int(summary.experiment["server"]["keepalive"])
    proxy = proxy_of(summary.experiment)
    if proxy.present:
        see, idle = (
            "are answered 502",
            f"{NAMES[proxy.kind]}'s idle timeout, {proxy.idle_timeout:g} s",
        )
    else:
        see, idle = "are reset", "the time for which clients keep an idle connection"
    return (
        f"Keep-alive race: about {_two_digits(a_day)} requests a day {see} at this rate. They are "
        f"sent just as Gunicorn closes a connection that was idle for keepalive = {keepalive} s. "
        f"A keepalive above {idle}, ends that."
    )


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 1 else f"{number:.1g}"
