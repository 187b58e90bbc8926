"""Other releases of Gunicorn in the rig: made once, whole or not at all, and run as they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from reference_app.rig import releases
from reference_app.rig.measure import measure
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.experiment.release import BEHAVIOURS


def nothing(_: str) -> None:
    """Nobody is told."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(releases.CACHE, str(tmp_path))
    return tmp_path


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that reaches no index."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def test_the_environments_own_needs_nothing(cache: Path) -> None:
    here = releases.installed()
    assert releases.gunicorn(None, nothing) == here
    assert releases.gunicorn(here.release, nothing) == here
    assert here.directory is None
    assert here.script.is_file()
    assert not list(cache.iterdir())


@pytest.mark.parametrize("release", ["", "newest", "23", "23.0.0 --pre", "https://example.org/x"])
def test_what_is_no_release_is_refused(cache: Path, release: str) -> None:
    with pytest.raises(ExperimentError, match=r"expected a release such as '23\.0\.0'"):
        releases.gunicorn(release, nothing)
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("no_index")
def test_without_a_network_it_says_so_and_leaves_nothing(cache: Path) -> None:
    told: list[str] = []
    with pytest.raises(ExperimentError, match=r"Gunicorn 23\.0\.0 cannot be installed \(pip: No"):
        releases.gunicorn("23.0.0", told.append)
    assert told == [f"installing Gunicorn 23.0.0 into {cache}/gunicorn-23.0.0-{python()}"]
    assert not list(cache.iterdir())


def python() -> str:
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def test_a_directory_that_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv(releases.CACHE, str(file / "cache"))
    with pytest.raises(ExperimentError, match="cannot keep Gunicorn 23"):
        releases.gunicorn("23.0.0", nothing)


def test_the_oldest_release_has_the_lines_of_source_that_the_model_names() -> None:
    """Most behaviours began with it; `tests/unit/test_release.py` holds those of the installed."""
    directory = releases.quietly("20.1.0").directory
    assert directory is not None
    begun = [each[0] for each in BEHAVIOURS.values() if each[0].since == "20.1.0"]
    assert len(begun) > 15
    for change in begun:
        lines = (directory / "gunicorn" / change.file).read_text(encoding="utf-8").splitlines()
        assert lines[change.line - 1].strip() == change.source


@pytest.mark.parametrize("release", ["20.1.0", "23.0.0"])
def test_what_happens_is_read_from_every_releases_log(release: str) -> None:
    # Kept between runs of the tests, as for a user.
    gunicorn = releases.gunicorn(release, nothing)
    experiment = Experiment(
        Server(workers=2, threads=2, preload_app=True),
        traffic=Traffic(rate=40.0, duration=3.0, io=Distribution("const", (0.01,))),
        disturbances=(
            Signal(0.3, "KILL", "worker", 1),
            Signal(0.6, "HUP", "master"),
            # Old gthread workers see it up to a second late.
            Signal(1.4, "TERM", "worker", 5),
        ),
        replications=1,
    )
    run = measure(experiment, 0, lambda *_: None, gunicorn)
    assert run.gunicorn == release
    happened = {(event.kind, event.process) for event in run.events}
    assert {("exit", f"worker {number}") for number in (1, 2, 3, 5)} <= happened
    assert {("ready", f"worker {number}") for number in (3, 4, 5, 6)} <= happened
    assert {("signal hup", "master"), ("exiting", "worker 2"), ("exiting", "worker 5")} <= happened
    outcomes = [row.outcome for row in run.requests]
    assert outcomes.count("ok") > 0.9 * len(outcomes)
    assert {row.worker for row in run.requests if row.outcome == "ok"} >= {2, 3}
