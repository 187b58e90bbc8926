"""Which experiments the pages show."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from sim.experiment import Experiment
from sim.experiment.release import KNOWN
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from site_docs.runs import cases
from site_docs.runs.build_cache import cached_in_process

ROOT = Path(__file__).parents[2]

#: How often a load is measured, at other rates, and what goes wrong: its times hardly vary.
LOAD_REPEATS, RATE_REPEATS, TROUBLE_REPEATS = 3, 2, 1

#: How often they are predicted, each with other chances of the server: the more, the more their
#: latencies are a matter of chance.
LOAD_VARIANTS, TROUBLE_VARIANTS, CASE_VARIANTS = 12, 8, 6

#: The load that is shown at other rates too, and those rates, requests / s.
RATED, RATES = "gthread-2x2", (20, 40)

#: The release that the FAQ was written about: its log begins with it.
FAQ_RELEASE = "23.0.0"

#: The oldest release that people run; what goes wrong was measured there too.
OLDEST = KNOWN[0]

#: How often an experiment is measured on another release than the newest.
FAQ_REPEATS = 2


@dataclass(frozen=True, slots=True)
class PageExperiment:
    """One experiment that pages show.

    Attributes:
        name: of the experiment and of its measured data.
        file: the experiment file, from the root of the repository; None where flags say it all.
        flags: of the command line, which change what the file says.
        repeats: how often it is measured.
        variants: how often it is predicted.
        release: of Gunicorn, if it is not the newest.
    """

    name: str
    file: str | None
    flags: tuple[str, ...]
    repeats: int
    variants: int
    release: str | None = None

    @property
    def arguments(self) -> str:
        """What a reader writes behind ``python -m sim`` or ``python -m reference_app compare``."""
        file = () if self.file is None else ("--experiment", self.file)
        return shlex.join((*file, *self.flags))

    @property
    def trouble(self) -> bool:
        """Whether something goes wrong in it."""
        return self.file is not None and self.file.count("/") == 1

    def on(self, release: str) -> PageExperiment:
        """The same experiment on another release of Gunicorn."""
        return replace(
            self,
            name=on_release(self.name, release),
            flags=(*self.flags, "--gunicorn", release),
            repeats=min(self.repeats, FAQ_REPEATS),
            release=release,
        )

    def experiment(self) -> Experiment:
        """The experiment, of one replication.

        Raises:
            ExperimentError: when its file or its flags cannot be understood.
        """
        parser = OneLineParser(prog=self.name)
        add_experiment_arguments(parser, replications=1)
        file = () if self.file is None else ("--experiment", str(ROOT / self.file))
        flags = (*file, *self.flags)
        return experiment_from(parser.parse_args(flags))[0]


def on_release(name: str, release: str) -> str:
    """The name of an experiment on another release than the newest."""
    return f"{name}@{release}"


@cached_in_process
def by_name() -> dict[str, PageExperiment]:
    """Every experiment file of the repository by its stem, some with other rates, and all cases.

    Those of files are there a second time, on `FAQ_RELEASE`, and troubles a third, on `OLDEST`.
    """
    loads = [
        PageExperiment(path.stem, f"experiments/load/{path.name}", (), LOAD_REPEATS, LOAD_VARIANTS)
        for path in sorted((ROOT / "experiments" / "load").glob("*.toml"))
    ]
    troubles = [
        PageExperiment(path.stem, f"experiments/{path.name}", (), TROUBLE_REPEATS, TROUBLE_VARIANTS)
        for path in sorted((ROOT / "experiments").glob("*.toml"))
    ]
    rates = (
        PageExperiment(
            f"{RATED}-at-{rate}",
            f"experiments/load/{RATED}.toml",
            ("--rate", str(rate)),
            RATE_REPEATS,
            LOAD_VARIANTS,
        )
        for rate in RATES
    )
    questions = (
        PageExperiment(
            name, None, tuple(shlex.split(f"{server} {case.load}")), case.repeats, CASE_VARIANTS
        )
        for key, case in cases.read().items()
        for name, server in cases.experiments(key).items()
    )
    older = (
        *(each.on(FAQ_RELEASE) for each in (*loads, *troubles)),
        *(each.on(OLDEST) for each in troubles),
    )
    return {each.name: each for each in (*loads, *rates, *troubles, *questions, *older)}
