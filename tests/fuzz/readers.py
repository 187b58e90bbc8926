"""Every reader of the project as a function of bytes.

Each writes the bytes to where its reader has them from, and reads. An `ExperimentError` is an
answer; what else is raised, or does not come back, is a fault: see `faults`.
"""

from __future__ import annotations

import ast
import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest import mock

import seeds

from sim.errors import ExperimentError
from sim.experiment import Experiment, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance_text import describe
from sim.experiment.document import to_dict
from sim.reading import (
    access_log,
    costs_file,
    disturbance_flag,
    experiment_file,
    gunicorn_config,
    probe_flag,
    route_flag,
    trace_file,
)
from sim.reading.access_log import Reading
from sim.run import load, save
from sim.study import store
from sim.validation import rows

# A file that is written twice in a second may be taken for the first one's bytecode.
sys.dont_write_bytecode = True

#: Longest input, bytes: time and memory are limited for inputs that fit into it.
LONGEST = 65_536

#: What the header of a study's store says of its base and model.
FINGERPRINT = "0" * 64

#: How a log is read, by its first byte. In the last two, its first line is the format.
READINGS = (
    Reading(by_route=None),
    Reading(by_route=True, cpu_part=0.25),
    Reading(skip_agents=("kube-probe",), by_route=None),
    Reading(skip_paths=("/health", "/static/*"), by_route=None),
    Reading(by_route=None),
    Reading(skip_agents=("curl",), skip_paths=("/a",), by_route=True),
)

#: Statements and expressions of a configuration that can run without doing anything.
HARMLESS = (
    *(ast.Module, ast.Assign, ast.Name, ast.Store, ast.Load, ast.Constant, ast.List, ast.Tuple),
    *(ast.Dict, ast.UnaryOp, ast.unaryop, ast.Pass),
)


class Reader(NamedTuple):
    """One reader.

    Attributes:
        read: gives it an input.
        seeds: inputs that it understands, or nearly.
    """

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _experiment(data: bytes) -> None:
    experiment = experiment_file.read(_file("experiment.toml", data))
    again = experiment_file.from_dict(to_dict(experiment), "written")
    assert again == experiment, "what is written is read as another experiment"


def _config(data: bytes) -> None:
    """A ``gunicorn.conf.py``: never run, and run where that does nothing."""
    path, refused = _file("gunicorn.conf.py", data), None
    for literal in (True, False) if _runs_harmlessly(data) else (True,):
        try:
            gunicorn_config.read(str(path), literal=literal)
        except ExperimentError as error:
            refused = error
    if refused is not None:
        raise refused


def _runs_harmlessly(data: bytes) -> bool:
    try:
        tree = ast.parse(data)
    except SyntaxError:
        return True
    except (ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, HARMLESS) for node in ast.walk(tree))


def _trace(data: bytes) -> None:
    Traffic(arrivals="trace", trace=trace_file.read(_file("trace.csv", data)))


def _log(data: bytes) -> None:
    number = data[0] % len(READINGS) if data else 0
    reading, lines = READINGS[number], data[1:]
    if number >= len(READINGS) - 2:
        format_, _, lines = lines.partition(b"\n")
        reading = Reading(
            _argument(format_), None, 0.0, reading.skip_agents, reading.skip_paths, reading.by_route
        )
    log = access_log.read(_file("access.log", lines), reading, 1, lambda _: None)
    Traffic(arrivals="trace", trace=log.rows)


def _costs(data: bytes) -> None:
    costs_file.read(_file("costs.toml", data))


def _route(data: bytes) -> None:
    route_flag.parse(_argument(data))


def _disturbance(data: bytes) -> None:
    disturbance = disturbance_flag.parse(_argument(data))
    describe(disturbance)
    disturbance.event()


def _probe(data: bytes) -> None:
    probe_flag.parse(_argument(data))


def _distribution(data: bytes) -> None:
    distribution = Distribution.parse(_argument(data))
    assert distribution.mean >= 0
    assert distribution.second_moment >= 0
    draw = distribution.sampler(Random(1))
    assert all(draw() >= 0 for _ in range(20))


def _runs(data: bytes) -> None:
    loaded = load(_file("runs.jsonl", data))
    path = _folder() / "again.jsonl"
    save(loaded, path)
    assert len(load(path)) == len(loaded)


def _store(data: bytes) -> None:
    """A study's store: the input itself, and the input below the header that it has to have."""
    for content in (data, _store_header() + data):
        path = _file("store.jsonl", content)
        try:
            with _quick_fingerprint(), store.Store(path, [Experiment()]) as opened:
                known = opened.known
        except ExperimentError:
            # Nothing is taken from a file that is not ours.
            assert path.read_bytes() == content, "a refused file was changed"
            if content is not data:
                raise
        else:
            with _quick_fingerprint(), store.Store(path, [Experiment()]) as opened:
                assert opened.known == known, "what was kept is read in another way"


def _store_header() -> bytes:
    return json.dumps({"schema": store.SCHEMA, "of": FINGERPRINT}).encode() + b"\n"


def _quick_fingerprint() -> AbstractContextManager[object]:
    """A store whose header does not take the time to read the model's sources."""
    return mock.patch.object(store, "_fingerprint", return_value=FINGERPRINT)


def _validation(data: bytes) -> None:
    _, measurements = rows.read(_file("validation.jsonl", data))
    rows.rows_of(measurements)


READERS: dict[str, Reader] = {
    "experiment": Reader(_experiment, seeds.experiments),
    "config": Reader(_config, seeds.configs),
    "trace": Reader(_trace, lambda: list(seeds.TRACES)),
    "log": Reader(_log, seeds.logs),
    "costs": Reader(_costs, seeds.costs),
    "route": Reader(_route, lambda: [text.encode() for text in seeds.ROUTES]),
    "disturb": Reader(_disturbance, lambda: [text.encode() for text in seeds.DISTURBANCES]),
    "probe": Reader(_probe, lambda: [text.encode() for text in seeds.PROBES]),
    "distribution": Reader(_distribution, lambda: [text.encode() for text in seeds.DISTRIBUTIONS]),
    "runs": Reader(_runs, seeds.runs),
    "store": Reader(_store, seeds.stores),
    "validation": Reader(_validation, seeds.validations),
}


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _argument(data: bytes) -> str:
    """The input as `sys.argv` has it, which cannot hold a NUL."""
    return data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
