"""Default costs: the tables of ``default_costs.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files

_TEXT = files("sim.experiment").joinpath("default_costs.toml").read_text(encoding="utf-8")

#: Each table's values by key.
DEFAULTS: dict[str, dict[str, float]] = {
    table: {key: float(value) for key, value in values.items()}
    for table, values in tomllib.loads(_TEXT).items()
}
