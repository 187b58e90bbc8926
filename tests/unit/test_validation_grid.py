"""The sample of the grid: fixed, possible, and spread over all levels and their pairs."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from itertools import product
from typing import Any

import pytest

from reference_app.validation.validate import experiment_of
from sim.errors import ExperimentError
from sim.experiment import Host, WorkerClass
from sim.experiment.release import NEWEST
from sim.validation.class_grid import CLASSES, CLIENT, SERVER, ClassCell, class_cells
from sim.validation.grid import (
    DURATION,
    FACTORS,
    FEWEST,
    MEAN,
    OVERHEAD,
    TIMES,
    Cell,
    cells,
    pairs,
    possible,
    sample,
)
from sim.validation.release_grid import GRIDS, cells_of

HOST = Host(cores=2)

#: SHA-256 of the names of each release's cells: a grid that changes has to be measured anew.
RELEASE_GRIDS = {
    "20.1.0": "b208beb317d944ba",
    "23.0.0": "663df2d6961c5ee2",
    "24.1.1": "9b86430a48d48d23",
    "25.3.0": "ec1a7d8c96aa128c",
    "26.2.0": "1a27b28764476522",
}

#: The same of each worker class's grid.
CLASS_GRIDS: dict[WorkerClass, str] = {
    "gevent": "c94fdac51849",
    "asgi": "f344e5e7be80",
    "uvicorn": "8ec795d1ea95",
}

BUSY = Cell("gthread", (2, 2), 0.8, "exponential", "io", "new", "default", False)


def test_the_sample_is_the_same_every_time() -> None:
    # Not from the cache.
    assert sample.__wrapped__() == sample()
    assert sample(2) != sample()


def test_there_are_no_two_of_a_kind_and_enough() -> None:
    assert len(set(sample())) == len(sample()) >= 60
    assert all(map(possible, sample()))


def test_every_shape_meets_every_load_as_often() -> None:
    seen = Counter((cell.shape, cell.load) for cell in sample())
    assert seen == dict.fromkeys(product(FACTORS["shape"], FACTORS["load"]), TIMES)


def test_every_level_meets_every_level_that_it_can() -> None:
    # That every level of every factor is in the sample follows from it.
    can = {pair for cell in cells() for pair in pairs(cell)}
    assert {pair for cell in sample() for pair in pairs(cell)} == can
    assert {level for pair in can for level in pair} == {
        (factor, level) for factor, levels in FACTORS.items() for level in levels
    }


@pytest.mark.parametrize(
    "cell",
    [
        Cell("sync", (1, 4), 0.3, "constant", "io", "new", "default", False),
        Cell("sync", (2, 1), 0.3, "constant", "io", "keepalive", "default", False),
        Cell("sync", (2, 1), 0.3, "constant", "io", "new", "threads", False),
        Cell("gthread", (1, 4), 0.3, "constant", "io", "new", "default", True),
    ],
)
def test_what_is_no_experiment_of_its_own(cell: Cell) -> None:
    assert not possible(cell)
    assert cell not in set(cells())


@pytest.mark.parametrize("cell", sample(), ids=lambda cell: cell.name)
def test_a_cell_asks_for_its_load(cell: Cell) -> None:
    experiment = cell.experiment(HOST, seed=7)
    server, traffic = experiment.server, experiment.traffic
    assert (server.workers, server.threads) == cell.shape
    assert server.worker_class == cell.worker_class
    assert traffic.io.mean + traffic.cpu.mean == pytest.approx(MEAN)
    assert traffic.requests is not None
    assert traffic.requests >= FEWEST
    assert traffic.requests / traffic.rate == pytest.approx(DURATION, rel=0.5) or (
        traffic.requests == FEWEST
    )
    threads = traffic.rate * (MEAN + OVERHEAD) / server.concurrency
    cores = traffic.rate * (traffic.cpu.mean + OVERHEAD) / min(server.workers, HOST.cores)
    assert max(threads, cores) == pytest.approx(cell.load)


def test_more_cores_are_asked_for_more() -> None:
    computing = Cell("gthread", (4, 1), 0.8, "constant", "cpu", "new", "default", False)
    assert computing.rate(4) == pytest.approx(2 * computing.rate(2))
    assert BUSY.rate(4) == BUSY.rate(2)


def test_names_tell_all_cells_apart() -> None:
    everything = list(cells())
    assert len({cell.name for cell in everything}) == len(everything)
    assert BUSY.name == "gthread, 2x2, load 0.8, exponential, io, new"


@pytest.mark.parametrize("number", GRIDS)
def test_the_grid_of_a_release_is_fixed(number: str) -> None:
    names = "\n".join(cell.name for cell in cells_of(number))
    assert sha256(names.encode()).hexdigest()[:16] == RELEASE_GRIDS[number]


@pytest.mark.parametrize("number", GRIDS)
def test_the_grid_of_a_release_has_cells_that_count(number: str) -> None:
    grid = GRIDS[number]
    chosen = [cell for cell in cells_of(number) if isinstance(cell, Cell)]
    assert len(set(chosen)) == len(chosen) == grid.cells
    assert all(grid.counts(cell) and possible(cell) for cell in chosen)
    # Own seeds: no release has the cells of another.
    assert chosen != [*sample()[: grid.cells]]


def test_the_grid_behind_nginx_is_fixed_and_has_both_kinds_of_upstream() -> None:
    names = "\n".join(cell.name for cell in cells_of(NEWEST, nginx=True))
    assert sha256(names.encode()).hexdigest()[:16] == "bc22ccadff2d3287"
    experiments = [cell.experiment(HOST, 1) for cell in cells_of(NEWEST, nginx=True)]
    assert {experiment.proxy.kind for experiment in experiments} == {"nginx"}
    assert Counter(experiment.proxy.kept for experiment in experiments) == {0: 5, 16: 5}
    with pytest.raises(ExperimentError, match="--behind-nginx is given with --gunicorn"):
        cells_of("23.0.0", nginx=True)


def test_the_newest_has_the_whole_sample_and_others_may_have_none() -> None:
    assert cells_of(NEWEST) == sample()
    with pytest.raises(ExperimentError, match="expected a release that has a grid: 20"):
        cells_of("22.0.0")


def test_the_grid_with_a_cpu_limit_is_fixed_and_has_every_limit_class_and_demand() -> None:
    cells = cells_of(NEWEST, limited=True)
    assert (
        sha256("\n".join(cell.name for cell in cells).encode()).hexdigest()[:12] == "d5b000e64a04"
    )
    experiments = [cell.experiment(HOST, 1) for cell in cells]
    kinds = {
        (each.host.cpu_limit, each.server.worker_class, each.traffic.io.mean > 0)
        for each in experiments
    }
    assert len(kinds) == len(cells) == 16
    for each in experiments:
        assert each.host.cpu_limit is not None
        # No cell asks for more than its limit.
        assert (
            each.traffic.rate * (each.traffic.cpu.mean + OVERHEAD)
            <= 0.75 * each.host.cpu_limit + 1e-9
        )
    with pytest.raises(ExperimentError, match="--cpu-limited is given with --gunicorn"):
        cells_of("23.0.0", limited=True)


def test_the_grid_on_one_core_is_fixed_and_has_remote_clients() -> None:
    cells = cells_of(NEWEST, one_core=True)
    names = "\n".join(cell.name for cell in cells)
    assert sha256(names.encode()).hexdigest()[:12] == "51b87fed76fa"
    experiments = [cell.experiment(HOST, 1) for cell in cells]
    assert len(experiments) == 8
    assert {(each.host.cores, each.host.clients) for each in experiments} == {(1, "remote")}
    assert {each.server.worker_class for each in experiments} == {"sync", "gthread"}
    with pytest.raises(ExperimentError, match="--one-core is given with --gunicorn"):
        cells_of("23.0.0", one_core=True)


@pytest.mark.parametrize("worker_class", CLASS_GRIDS)
def test_the_grid_of_a_worker_class_is_fixed_and_has_every_size_demand_and_connection(
    worker_class: WorkerClass,
) -> None:
    cells = class_cells(worker_class)
    assert (
        cells
        == cells_of(NEWEST, worker_class=worker_class)
        == class_cells.__wrapped__(worker_class)
    )
    names = "\n".join(cell.name for cell in cells)
    assert sha256(names.encode()).hexdigest()[:12] == CLASS_GRIDS[worker_class]
    assert {(cell.workers, cell.demand, cell.connection) for cell in cells} == set(
        product((1, 2, 4), ("io", "half cpu", "cpu"), ("new", "keepalive"))
    )
    assert {cell.worker_class for cell in cells} == {worker_class}
    for levels in (Counter(c.load for c in cells), Counter(c.service for c in cells)):
        assert len(levels) == 4
        assert max(levels.values()) - min(levels.values()) == 1


@pytest.mark.parametrize("cell", class_cells("gevent"), ids=lambda cell: cell.name)
def test_a_cell_of_a_class_asks_for_its_load_of_the_cpu(cell: ClassCell) -> None:
    experiment = cell.experiment(HOST, 1)
    server, traffic = experiment.server, experiment.traffic
    assert (server.workers, server.worker_class) == (cell.workers, "gevent")
    assert traffic.io.mean + traffic.cpu.mean == pytest.approx(MEAN)
    computed = traffic.rate * (traffic.cpu.mean + SERVER)
    of_workers = computed / server.workers
    of_cores = (computed + traffic.rate * CLIENT) / HOST.cores
    assert max(of_workers, of_cores) == pytest.approx(cell.load)


def test_other_classes_and_releases_have_no_grid_of_their_own() -> None:
    with pytest.raises(ExperimentError, match="--worker-class is 'gthread'; expected one that has"):
        cells_of(NEWEST, worker_class="gthread")
    with pytest.raises(ExperimentError, match="--worker-class is given with --gunicorn 23"):
        cells_of("23.0.0", worker_class="gevent")


@pytest.mark.parametrize("worker_class", CLASSES)
def test_another_sample_of_a_class_deals_other_loads(worker_class: WorkerClass) -> None:
    first, second = class_cells(worker_class), class_cells(worker_class, 2)
    assert cells_of(NEWEST, worker_class=worker_class, sample_seed=2) == second
    for factor in ("workers", "load", "service", "demand", "connection"):
        one, other = (Counter(getattr(it, factor) for it in cells) for cells in (first, second))
        assert sorted(one.values()) == sorted(other.values())
    assert len({cell.name for cell in first} & {cell.name for cell in second}) < len(first) / 2


def test_another_sample_has_other_cells_of_the_same_shapes_and_loads() -> None:
    first, second = cells_of(NEWEST), cells_of(NEWEST, sample_seed=2)
    assert second == sample(2)
    assert len(second) == len(first)
    assert len({cell.name for cell in second} - {cell.name for cell in first}) > len(first) / 2


@pytest.mark.parametrize("other", [{"nginx": True}, {"limited": True}])
def test_another_sample_is_of_the_whole_grid_or_of_a_class(other: dict[str, Any]) -> None:
    with pytest.raises(ExperimentError, match="--sample is 2 beside another grid"):
        cells_of(NEWEST, sample_seed=2, **other)
    with pytest.raises(ExperimentError, match="--sample is 2 beside another grid"):
        cells_of("23.0.0", sample_seed=2)


def test_a_request_of_another_sample_is_none_of_the_first() -> None:
    first, second = (
        experiment_of(cells_of(NEWEST, sample_seed=seed)[0], 1, HOST, sample=seed)
        for seed in (1, 2)
    )
    assert (first.seed, second.seed) == (1, 1001)
