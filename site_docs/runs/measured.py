"""What was measured for the pages: for each experiment its runs, and where and when they were made.

``data/measured/NAME.jsonl`` has the runs, as `sim.run.save` writes them, and ``NAME.json`` says
what a reader must know to trust them.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from reference_app.rig.processor import processor
from sim import run
from sim.errors import ExperimentError
from sim.experiment.worker_class import TRAITS, WorkerClass
from sim.run import Run
from sim.whole_file import whole_file

DIRECTORY = Path(__file__).parents[1] / "data" / "measured"

#: Packages whose version a measurement depends on, beside Gunicorn's, the application's framework
#: and those of the worker class.
PACKAGES = ("launchdarkly-server-sdk",)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where and when a measurement was made.

    Attributes:
        date: the day, UTC, as ISO 8601 has it.
        processor: its name.
        cores: processors that the measurement had.
        system: kernel, with the two numbers of its release that features depend on.
        versions: of Python, of Gunicorn and of each of `packages_of` the worker class.
    """

    date: str
    processor: str
    cores: int
    system: str
    versions: dict[str, str]

    @classmethod
    def here_and_now(cls, gunicorn: str, worker_class: WorkerClass = "gthread") -> Provenance:
        """That of a measurement that has just been made of a release and a worker class."""
        return cls(
            date=datetime.now(UTC).date().isoformat(),
            processor=processor(),
            cores=len(os.sched_getaffinity(0)),
            system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
            versions={
                "python": platform.python_version(),
                "gunicorn": gunicorn,
                **{package: version(package) for package in packages_of(worker_class)},
            },
        )


def packages_of(worker_class: WorkerClass) -> tuple[str, ...]:
    """Packages whose version a measurement of a worker class depends on, beside Gunicorn's."""
    traits = TRAITS[worker_class]
    return ("starlette" if traits.asgi else "flask", *PACKAGES, *traits.packages)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one experiment: a run for each repeat, and their provenance."""

    runs: tuple[Run, ...]
    provenance: Provenance


def save(name: str, runs: Sequence[Run], directory: Path = DIRECTORY) -> None:
    """Write what was measured just now, on one release of Gunicorn.

    Args:
        name: of the experiment.
        runs: of each repeat; at least one.
        directory: of the files.

    Raises:
        ExperimentError: when it cannot be written.
    """
    server = runs[0].experiment["server"]
    provenance = Provenance.here_and_now(server["gunicorn"], server["worker_class"])
    about = json.dumps(asdict(provenance), indent=2) + "\n"
    run.save(runs, directory / f"{name}.jsonl")
    with whole_file(directory / f"{name}.json") as file:
        file.write(about)


def exists(name: str, directory: Path = DIRECTORY) -> bool:
    """Whether anybody has measured it."""
    return (directory / f"{name}.jsonl").exists()


def load(name: str, directory: Path = DIRECTORY) -> Measured:
    """Read what was measured.

    Raises:
        ExperimentError: when it was not, or cannot be read.
    """
    path = directory / f"{name}.json"
    runs = tuple(run.load(directory / f"{name}.jsonl"))
    try:
        return Measured(runs, Provenance(**json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise ExperimentError(f"{path}: cannot be read ({error})") from None
