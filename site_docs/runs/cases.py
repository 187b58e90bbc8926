"""Experiments that pages ask in words of the command line: one load on several servers each.

``cases.toml`` holds them; the experiment of a case's Nth server is called ``CASE-N``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sim.errors import ExperimentError
from sim.reading import toml_file
from site_docs.runs.build_cache import cached_in_process

FILE = Path(__file__).parents[1] / "cases.toml"


@dataclass(frozen=True, slots=True)
class Case:
    """One load on several servers.

    Attributes:
        load: flags of the traffic, which all servers get.
        repeats: how often each is measured.
        servers: flags of each server.
    """

    load: str
    repeats: int
    servers: tuple[str, ...]


@cached_in_process
def read(path: Path = FILE) -> dict[str, Case]:
    """Every case by its name.

    Raises:
        ExperimentError: when the file cannot be read, or a case is not whole.
    """
    cases = {}
    for name, table in toml_file.load(path).items():
        where = f"{path}: [{name}]"
        values = toml_file.parse_table(table, Case, where)
        toml_file.refuse_missing(values, Case, where)
        cases[name] = Case(**values)
    return cases


def experiments(case: str) -> dict[str, str]:
    """The flags of each server of a case, by the name of its experiment.

    Raises:
        ExperimentError: when there is no such case.
    """
    known = read()
    if case not in known:
        raise ExperimentError(f"{case!r} is no case; expected one of {', '.join(known)}")
    servers = known[case].servers
    return {f"{case}-{number}": server for number, server in enumerate(servers, start=1)}
