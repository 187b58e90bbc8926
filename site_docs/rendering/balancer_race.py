"""Requests that meet the end of an idle connection, measured and predicted, for a page.

Each run is one client behind a load balancer, which sends again when its connection has been idle
for nearly as long as Gunicorn keeps it. ``balancer-race.toml`` has what was measured.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from sim.errors import ExperimentError
from sim.experiment import Experiment, Proxy, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.reading import toml_file
from sim.run import BAD_GATEWAY
from site_docs.rendering import numbers

FILE: Final = Path(__file__).parents[1] / "data" / "balancer-race.toml"

KEYS: Final = ("date", "processor", "cores", "requests", "bad_gateways")

#: What was measured, but for its duration: 40 times as many requests are predicted as one run has.
EXPERIMENT: Final = Experiment(
    Server(workers=2, threads=4, keepalive=1, preload_app=True),
    traffic=Traffic(
        arrivals="closed",
        users=1,
        think=Distribution("uniform", (0.995, 1.005)),
        io=Distribution("const", (0.001,)),
        duration=2_600.0,
    ),
    proxy=Proxy(kind="alb"),
    replications=1,
)


def read(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not whole.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, KEYS, f"{path}:")
    for key in KEYS:
        if key not in document:
            raise ExperimentError(f"{path}: {key} is missing; expected what was measured")
    if len(document["requests"]) != len(document["bad_gateways"]):
        raise ExperimentError(f"{path}: expected as many requests as bad_gateways, one a run")
    return document


@cache
def predicted() -> float:
    """Share of the requests that get a 502, predicted."""
    outcome = predict(EXPERIMENT).requests.outcome
    return outcome.count(BAD_GATEWAY) / len(outcome)


def measured() -> float:
    """The same, measured."""
    document = read()
    return float(sum(document["bad_gateways"]) / sum(document["requests"]))


def counted() -> str:
    """How many of how many requests got a 502 as measured, in words."""
    document = read()
    return f"{sum(document['bad_gateways']):,} of {sum(document['requests']):,}"


def where() -> str:
    """When and on what it was measured, in words."""
    document = read()
    return f"{document['date']}, {document['processor']}, {document['cores']} cores"


def ratio() -> str:
    """How many times as many are predicted as were measured."""
    return numbers.factor(predicted() / measured())
