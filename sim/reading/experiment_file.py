"""An experiment as a document: a TOML file on disk, a JSON object inside a run.

The tables are ``[server]``, ``[host]``, ``[traffic]``, ``[launchdarkly]``, ``[costs]`` and
``[memory]``, whose keys are the fields of the dataclass of that name (of `MemoryCosts`, the last);
``seed``, ``replications`` and ``gc_freeze`` stand above them.
Each ``[[probe]]`` is a probe, with the fields of `sim.experiment.Probe`, and each
``[[traffic.route]]`` a route, with those of `sim.experiment.Route`.
Each ``[[disturbance]]`` is one thing that goes wrong: its ``kind`` is a key of
`sim.experiment.disturbance.KINDS`, and its other keys are the fields of that class.

A document may leave out anything. What it does say is held as `Changes` until all sources of an
experiment (files, flags) have spoken, because an experiment that is already made has forgotten
what was asked: ``threads = 2`` turns ``sync`` into ``gthread``, and a later ``threads = 1`` must
turn it back.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.experiment import PROBES, Experiment, Probe, Route, Server, Traffic
from sim.experiment.disturbance import KINDS, Disturbance
from sim.experiment.document import DISTURBANCE, PROBE, ROUTE, TABLES, TOP_KEYS
from sim.experiment.release_defaults import costs_for, memory_for
from sim.reading import settings, toml_file, trace_file

#: Values of the right type by field, for each table that says any; `TOP_KEYS` are under ``""``.
Changes = dict[str, dict[str, Any]]


def from_dict(
    document: Mapping[str, Any], where: str, base: Experiment | None = None
) -> Experiment:
    """The experiment that a document describes; the inverse of `to_dict`.

    Args:
        document: tables and top keys, as TOML or JSON gives them.
        where: the file that it is from, for messages; a trace's path is relative to it.
        base: what holds for everything that the document leaves out; the defaults, if None.

    Raises:
        ExperimentError: when a key is unknown, or a value of another type or out of range.
    """
    return apply(changes(document, where), where, base or Experiment())


def read(path: Path, base: Experiment | None = None) -> Experiment:
    """The experiment in a TOML file.

    Raises:
        ExperimentError: when the file cannot be read or understood.
    """
    return from_dict(toml_file.load(path), str(path), base)


def changes(document: Mapping[str, Any], where: str) -> Changes:
    """What a document says, each value of its field's type, ranges not yet looked at.

    Raises:
        ExperimentError: when a key is unknown, or a value of another type; of a disturbance or a
            probe also when a key is missing or a value out of range.
    """
    toml_file.refuse_unknown(document, (*TOP_KEYS, *TABLES, DISTURBANCE, PROBE), where)
    top = {key: document[key] for key in TOP_KEYS if key in document}
    changes: Changes = {"": toml_file.parse_table(top, Experiment, f"{where}:")}
    for table, schema in TABLES.items():
        if table not in document:
            continue
        values = document[table]
        place = f"{where}: [{table}]"
        trace = values.get("trace") if schema is Traffic and isinstance(values, Mapping) else None
        if isinstance(trace, str):
            values = {key: value for key, value in values.items() if key != "trace"}
        if schema is Server and isinstance(values, Mapping):
            values = _with_addresses(values)
        routes = None
        if schema is Traffic and isinstance(values, Mapping):
            values, routes = _without_routes(values, where)
        changes[table] = toml_file.parse_table(values, schema, place)
        if routes is not None:
            changes[table]["routes"] = routes
        if isinstance(trace, str):
            changes[table]["trace"] = trace_file.read(Path(where).parent / trace)
    if DISTURBANCE in document:
        changes[""]["disturbances"] = tuple(
            _disturbance(table, place) for table, place in _array(document, DISTURBANCE, where)
        )
    if PROBE in document:
        changes[""]["probes"] = tuple(
            _probe(table, place) for table, place in _array(document, PROBE, where)
        )
    if changes.get("traffic", {}).get("trace"):
        changes["traffic"].setdefault("arrivals", "trace")
    if "worker_class" in changes.get("server", {}):
        changes["server"]["worker_class"] = _worker_class(changes["server"]["worker_class"], where)
    return changes


def apply(changes: Changes, where: str, base: Experiment) -> Experiment:
    """The ``base`` with the changes ``changes``.

    Raises:
        ExperimentError: when a value is out of range; ``where`` begins the message.
    """
    of_server: dict[str, Any] = {}
    try:
        if "server" in changes:
            # First, for the costs that nothing is said of are the server's.
            server = replace(base.server, **changes["server"])
            of_server["costs"] = costs_for(base.costs, *server.costs_of)
            of_server["memory"] = memory_for(base.memory, server.worker_class)
        tables: dict[str, Any] = {
            table: replace(of_server.get(table, getattr(base, table)), **changes[table])
            for table in TABLES
            if table in changes
        }
        return replace(base, **tables, **changes.get("", {}))
    except ExperimentError as error:
        raise ExperimentError(f"{where}: {error}") from None


def _array(
    document: Mapping[str, Any], key: str, where: str
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each table of an array of tables, and its place for messages."""
    tables = document[key]
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        raise ExperimentError(
            f"{where}: {key} is {reprlib.repr(tables)}; expected tables [[{key}]]"
        )
    for number, table in enumerate(tables, start=1):
        place = f"{where}: [[{key}]] {number}"
        if not isinstance(table, Mapping):
            raise ExperimentError(f"{place} is {reprlib.repr(table)}; expected a table")
        yield table, place


def _without_routes(
    traffic: Mapping[str, Any], where: str
) -> tuple[Mapping[str, Any], tuple[Route, ...] | None]:
    """The table of the traffic without its routes, and these; None where it has no such key."""
    known = [field.name for field in fields(Traffic) if field.name != "routes"]
    toml_file.refuse_unknown(traffic, (*known, ROUTE), f"{where}: [traffic]")
    if ROUTE not in traffic:
        return traffic, None
    for name in ("io", "cpu"):
        if name in traffic:
            raise ExperimentError(
                f"{where}: [traffic] has both {name} and [[traffic.{ROUTE}]]; expected {name} in "
                "each route"
            )
    routes = tuple(
        _route(table, place.replace(f"[[{ROUTE}]]", f"[[traffic.{ROUTE}]]"))
        for table, place in _array(traffic, ROUTE, where)
    )
    return {key: value for key, value in traffic.items() if key != ROUTE}, routes


def _route(table: Mapping[str, Any], place: str) -> Route:
    values = toml_file.parse_table(table, Route, place)
    toml_file.refuse_missing(values, Route, place)
    try:
        return Route(**values)
    except ExperimentError as error:
        raise ExperimentError(f"{place}: {error}") from None


def _probe(table: Mapping[str, Any], place: str) -> Probe:
    if "kind" not in table:
        raise ExperimentError(f"{place} has no key 'kind'; expected one of {', '.join(PROBES)}")
    values = toml_file.parse_table(table, Probe, place)
    toml_file.refuse_missing(values, Probe, place)
    try:
        return Probe(**values)
    except ExperimentError as error:
        raise ExperimentError(f"{place}: {error}") from None


def _disturbance(table: Mapping[str, Any], place: str) -> Disturbance:
    expected = f"expected one of {', '.join(KINDS)}"
    if "kind" not in table:
        raise ExperimentError(f"{place} has no key 'kind'; {expected}")
    schema = KINDS.get(table["kind"]) if isinstance(table["kind"], str) else None
    if schema is None:
        raise ExperimentError(f"{place} kind is {reprlib.repr(table['kind'])}; {expected}")
    values = {key: value for key, value in table.items() if key != "kind"}
    changes = toml_file.parse_table(values, schema, place)
    toml_file.refuse_missing(changes, schema, place)
    try:
        return schema(**changes)
    except ExperimentError as error:
        raise ExperimentError(f"{place} {error}") from None


def _with_addresses(server: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table with its ``bind`` as text, where it is a list as Gunicorn may have it."""
    bind = server.get("bind")
    if isinstance(bind, list) and all(isinstance(address, str) for address in bind):
        return {**server, "bind": settings.bind_of(bind)}
    return server


def _worker_class(value: str, where: str) -> str:
    try:
        return settings.named_worker_class(value)
    except ExperimentError as error:
        raise ExperimentError(f"{where}: [server] {error}") from None
