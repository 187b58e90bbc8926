"""Which experiments the pages show."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sim.arguments import add_experiment_arguments, experiment_from
from sim.experiment import Experiment
from sim.one_line_parser import OneLineParser

ROOT = Path(__file__).parent.parent

#: How often a load is measured, at other rates, and what goes wrong: its times hardly vary.
LOAD_REPEATS, RATE_REPEATS, TROUBLE_REPEATS = 3, 2, 1

#: The load that is shown at other rates too, and those rates, requests / s.
RATED, RATES = "gthread-2x2", (20, 40)


@dataclass(frozen=True, slots=True)
class Shown:
    """One experiment that pages show.

    Attributes:
        name: of the experiment and of its measured data.
        file: the experiment file, from the root of the repository.
        flags: of the command line, which change what the file says.
        repeats: how often it is measured.
    """

    name: str
    file: str
    flags: tuple[str, ...]
    repeats: int

    @property
    def arguments(self) -> str:
        """What a reader writes behind ``python -m sim`` or ``python -m reference_app compare``."""
        return shlex.join(("--experiment", self.file, *self.flags))

    def experiment(self) -> Experiment:
        """The experiment, of one replication.

        Raises:
            ExperimentError: when its file or its flags cannot be understood.
        """
        parser = OneLineParser(prog=self.name)
        add_experiment_arguments(parser, replications=1)
        flags = ("--experiment", str(ROOT / self.file), *self.flags)
        return experiment_from(parser.parse_args(flags))[0]


@cache
def by_name() -> dict[str, Shown]:
    """Every experiment file of the repository by its stem, and some with other rates."""
    loads = (
        Shown(path.stem, f"experiments/load/{path.name}", (), LOAD_REPEATS)
        for path in sorted((ROOT / "experiments" / "load").glob("*.toml"))
    )
    troubles = (
        Shown(path.stem, f"experiments/{path.name}", (), TROUBLE_REPEATS)
        for path in sorted((ROOT / "experiments").glob("*.toml"))
    )
    rates = (
        Shown(
            f"{RATED}-at-{rate}",
            f"experiments/load/{RATED}.toml",
            ("--rate", str(rate)),
            RATE_REPEATS,
        )
        for rate in RATES
    )
    return {shown.name: shown for shown in (*loads, *rates, *troubles)}
