"""What a calibration needs: flags that can be used, and every thread of the server at work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reference_app.calibration import requests
from reference_app.calibration.memory import occupy
from reference_app.rig.memory import experiment_of
from reference_app.rig.server import Application, running_server
from sim.errors import ExperimentError
from sim.experiment import Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.validation.class_grid import CLASSES


def test_every_thread_runs_also_where_the_application_answers_at_once(tmp_path: Path) -> None:
    answer = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    (tmp_path / "quick.py").write_text(answer, encoding="utf-8")
    experiment = experiment_of(2, 16, preload=True, launchdarkly=False)
    with running_server(experiment, Application("quick:app", directory=tmp_path)) as server:
        occupy(server.port, "/", experiment)
        threads = [worker.num_threads() for worker in server.living_workers().values()]
    assert threads == [17, 17]


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_every_request_of_an_older_release_is_timed(worker_class: WorkerClass) -> None:
    """A sync worker by its application alone; no step of it has another name."""
    server = Server(worker_class=worker_class, preload_app=True, gunicorn="23.0.0")
    traffic = Traffic(arrivals="constant", rate=10.0, requests=10, io=Distribution("const", (0.0,)))
    (result,), steps = requests._replayed(server, traffic)
    assert len(result.answers) == len(steps.app) == 10
    assert len(steps.accept) == (10 if worker_class == "gthread" else 0)


@pytest.mark.parametrize("worker_class", CLASSES)
def test_every_step_of_an_event_loop_is_timed(
    worker_class: WorkerClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(worker_class=worker_class, preload_app=True)
    # So far apart that none meets another.
    traffic = Traffic(arrivals="constant", rate=10.0, requests=10, io=Distribution("const", (0.0,)))
    (result,), steps = requests._replayed(server, traffic)
    assert len(result.answers) == 10
    for clock in (steps.accept, steps.handle, steps.app, steps.answered, steps.handled):
        assert len(clock) == 10
        assert [*clock] == sorted(clock)
    for step in (steps.accepting_in_loop(), steps.finishing_in_loop()):
        assert all(0 < seconds < 0.1 for seconds in step)

    # uvloop accepts in C, where no clock can be put.
    monkeypatch.setattr(requests, "_notes", lambda _: [{"accept_begins": []}])
    with pytest.raises(ExperimentError, match="the worker's loop shows no accept; expected"):
        requests._steps(server, loop=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--app", "nonsense"], "--app is 'nonsense'; expected MODULE:APP"),
        (["--app", "no_such_module:app"], "before its 2 workers were ready"),
        (["--path", "no-slash"], "--path is 'no-slash'"),
        (["--out", "."], "is a directory"),
    ],
)
def test_what_cannot_be_used_is_refused(flags: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reference_app", "calibrate", *flags],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
