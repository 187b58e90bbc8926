"""Default costs: the tables of ``default_costs.toml``, and how others differ from them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final


def tables(name: str) -> dict[str, Any]:
    """The tables of a TOML file beside this module."""
    # Not by `importlib.resources`, which would import half as much as all of `sim.experiment`.
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


#: Each table's values by key.
DEFAULTS: Final[dict[str, dict[str, float]]] = {
    table: {key: float(value) for key, value in values.items()}
    for table, values in tables("default_costs.toml").items()
}

#: By the first release with such costs, in order: multiples of ``DEFAULTS["costs"]``, by key.
RELEASES: Final[dict[str, dict[str, float]]] = {
    entry["since"]: {key: float(value) for key, value in entry["times"].items()}
    for entry in tables("release_costs.toml")["release"]
}

_OF_CLASSES: Final = tables("class_costs.toml")["worker_class"]

#: By worker class with costs of its own: multiples of ``DEFAULTS["costs"]``, by key.
CLASSES: Final[dict[str, dict[str, float]]] = {
    entry["name"]: {key: float(value) for key, value in entry["times"].items()}
    for entry in _OF_CLASSES
}

#: By the same worker classes: what stands in place of ``DEFAULTS["memory"]``, bytes by key.
CLASS_MEMORY: Final[dict[str, dict[str, float]]] = {
    entry["name"]: {key: float(value) for key, value in entry["memory"].items()}
    for entry in _OF_CLASSES
}
