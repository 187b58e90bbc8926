"""An experiment as a table of plain values, as TOML and JSON hold it.

`sim.reading.experiment_file` reads what `to_dict` writes.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.experiment import Experiment
from sim.experiment.host import Host
from sim.experiment.launchdarkly import LaunchDarkly
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.proxy import Proxy
from sim.experiment.server import Server
from sim.experiment.traffic import Traffic

#: What each table describes.
TABLES: dict[str, type] = {
    "server": Server,
    "host": Host,
    "proxy": Proxy,
    "traffic": Traffic,
    "launchdarkly": LaunchDarkly,
    "costs": Costs,
    "memory": MemoryCosts,
}

#: Fields of `Experiment` that stand above the tables.
TOP_KEYS = ("seed", "replications", "gc_freeze")

#: The arrays of tables: what goes wrong, and the probes.
DISTURBANCE = "disturbance"
PROBE = "probe"

#: That of the routes, in the table of the traffic; `Traffic.routes` holds them.
ROUTE = "route"


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The whole experiment, every default included, as TOML and JSON can hold it."""
    document: dict[str, Any] = {key: getattr(experiment, key) for key in TOP_KEYS}
    for table in TABLES:
        if table != "proxy" or experiment.proxy.present:
            document[table] = plain_table(getattr(experiment, table))
    _write_routes(document["traffic"], experiment.traffic)
    document[DISTURBANCE] = [
        {"kind": disturbance.kind, **plain_table(disturbance)}
        for disturbance in experiment.disturbances
    ]
    if experiment.probes:
        document[PROBE] = [plain_table(probe) for probe in experiment.probes]
    return document


def _write_routes(table: dict[str, Any], traffic: Traffic) -> None:
    """Put the routes into the traffic's table, in place of its own demand."""
    del table["routes"]
    if traffic.routes:
        del table["io"], table["cpu"]
        table[ROUTE] = [
            {key: value for key, value in plain_table(route).items() if value is not False}
            for route in traffic.routes
        ]


#: What TOML and JSON can hold as it is; asked first, for a trace has millions.
_PLAIN = frozenset({float, int, str, bool, type(None)})


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON and TOML can hold
    """The ``value`` as TOML and JSON can hold it; exact, so that `parse` gives it back."""
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, Distribution):
        # Not str(), which rounds to six digits.
        return f"{value.kind}:{','.join(repr(number) for number in value.parameters)}"
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        row = [plain(getattr(value, name)) for name in _names(value.__class__)]
        return row if row[-1] != "" else row[:-1]  # A row of a trace without a route.
    return value


@cache
def _names(schema: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(schema))


def plain_table(value: object) -> dict[str, Any]:
    """A dataclass as a table; a field that is None is left out, for TOML has no null."""
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{value!r} is not a dataclass instance")
    pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: plain(item) for name, item in pairs if item is not None}
