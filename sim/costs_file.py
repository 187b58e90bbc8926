"""A file of what the steps of a request cost on one host: TOML with one table, ``[costs]``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim import toml_file
from sim.costs import Costs
from sim.errors import ExperimentError


def read(path: Path, base: Costs | None = None) -> Costs:
    """Read a costs file.

    Args:
        path: a TOML file whose ``[costs]`` has fields of `Costs` as keys, each in s unless
            `Costs` says otherwise.
        base: what holds for the keys that the file leaves out; the defaults, if None.

    Raises:
        ExperimentError: when the file cannot be read or understood, or a cost is out of range.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, ("costs",), str(path))
    if "costs" not in document:
        raise ExperimentError(f"{path}: has no table [costs]; expected one")
    values = toml_file.parse_table(document["costs"], Costs, f"{path}: [costs]")
    try:
        return replace(base or Costs(), **values)
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from None
