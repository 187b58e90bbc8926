"""The cells on which each release of Gunicorn is held against the real server.

The newest release has the whole `sample` of the grid. The others have the first cells of samples of
their own, whose seeds were chosen before any of them was measured. Each sample is restricted to the
cells that tell something of its release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final, Protocol

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host
from sim.experiment.release import NEWEST
from sim.validation.class_grid import CLASSES, class_cells
from sim.validation.grid import Cell, sample
from sim.validation.limited_grid import limited as limited_cells
from sim.validation.one_core_grid import on_one_core
from sim.validation.proxy_grid import proxied
from sim.validation.rows import Header


@dataclass(frozen=True, slots=True)
class ReleaseGrid:
    """Which cells a release is measured on.

    Attributes:
        seed: of its sample.
        cells: their number.
        restriction: which cells of the sample count, in words.
        counts: the same, of a cell.
    """

    seed: int
    cells: int
    restriction: str
    counts: Callable[[Cell], bool]


def _unlimited(cell: Cell) -> bool:
    return cell.worker_connections == "default"


def _differs(cell: Cell) -> bool:
    return cell.worker_class == "gthread" and (
        cell.worker_connections == "threads" or cell.connection == "keepalive"
    )


#: What few cells are spent on: `gthread` at its limit, or with kept connections.
_DIFFERENT: Final = "gthread with worker_connections = threads, or with keep-alive connections"

#: By release. On 23.0.0 a limit on connections leaves requests without an answer, which no error of
#: a latency measures; ``site_docs/data/limited.toml`` has those servers.
GRIDS: Final[dict[str, ReleaseGrid]] = {
    "20.1.0": ReleaseGrid(201, 6, _DIFFERENT, _differs),
    "23.0.0": ReleaseGrid(230, 24, "without a limit on worker_connections", _unlimited),
    "24.1.1": ReleaseGrid(241, 6, _DIFFERENT, _differs),
    "25.3.0": ReleaseGrid(253, 6, _DIFFERENT, _differs),
    "26.2.0": ReleaseGrid(262, 6, _DIFFERENT, _differs),
}


class Planned(Protocol):
    """A cell of any grid."""

    @property
    def name(self) -> str:
        """All levels, in words."""

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""


@cache
def cells_of(
    gunicorn: str,
    *,
    nginx: bool = False,
    limited: bool = False,
    one_core: bool = False,
    worker_class: str | None = None,
    sample_seed: int = 1,
) -> tuple[Planned, ...]:
    """The cells of a release, in the order to run them.

    Args:
        gunicorn: the release.
        nginx: those behind nginx.
        limited: those with a CPU limit.
        one_core: those on one core.
        worker_class: those of a class with a grid of its own; None for the others.
        sample_seed: of the newest release's sample, or of a class's grid; the model was mended for
            what 1 has shown, and for nothing of the others.

    Raises:
        ExperimentError: when there are none of that release, or of that class.
    """
    if sample_seed != 1 and (gunicorn != NEWEST or nginx or limited or one_core):
        raise ExperimentError(
            f"--sample is {sample_seed} beside another grid; expected it with the whole grid of "
            f"{NEWEST}, or with --worker-class"
        )
    if worker_class is not None:
        return _cells_of_class(worker_class, gunicorn, sample_seed)
    for given, flag, cells in (
        (nginx, "--behind-nginx", proxied),
        (limited, "--cpu-limited", limited_cells),
        (one_core, "--one-core", on_one_core),
    ):
        if given and gunicorn == NEWEST:
            return cells()
        if given:
            raise ExperimentError(
                f"{flag} is given with --gunicorn {gunicorn}; expected {NEWEST}, which its grid is "
                "of"
            )
    if gunicorn == NEWEST:
        return sample(sample_seed)
    if gunicorn not in GRIDS:
        raise ExperimentError(
            f"--gunicorn is {gunicorn!r}; expected a release that has a grid: "
            f"{', '.join((*GRIDS, NEWEST))}"
        )
    grid = GRIDS[gunicorn]
    return tuple(islice(filter(grid.counts, sample(grid.seed)), grid.cells))


def cells_of_rows(header: Header) -> tuple[Planned, ...]:
    """The cells of the grid that rows with this ``header`` are of; see `cells_of`."""
    return cells_of(
        header.versions["gunicorn"],
        nginx=header.nginx,
        limited=header.cpu_limited,
        one_core=header.one_core,
        worker_class=header.worker_class,
        sample_seed=header.sample,
    )


def _cells_of_class(worker_class: str, gunicorn: str, seed: int) -> tuple[Planned, ...]:
    if gunicorn != NEWEST:
        raise ExperimentError(
            f"--worker-class is given with --gunicorn {gunicorn}; expected {NEWEST}, which its "
            "grid is of"
        )
    for each in CLASSES:
        if each == worker_class:
            return class_cells(each, seed)
    raise ExperimentError(
        f"--worker-class is {worker_class!r}; expected one that has a grid of its own: "
        f"{', '.join(CLASSES)}"
    )
