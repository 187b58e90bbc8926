"""What can be said of probes, how they are written down, what is refused, and a kubelet's rules."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, Probe, Server
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Rollout, Signal
from sim.experiment.document import to_dict
from sim.experiment.shutdown import Shutdown, shutdown
from sim.reading import probe_flag
from sim.reading.experiment_file import from_dict, read
from sim.reading.probe_notices import probe_notices
from sim.run import OK, TIMEOUT, Probed, Requests, Run, load, save
from sim.run.kubelet import BackOff, Prober

EXPECTED_KIND = "expected one of liveness, readiness, startup"

NO_PERIOD = "there is no period; expected period=S (Kubernetes' own is period=10)"

REFUSED = {
    "": f"kind is ''; {EXPECTED_KIND}",
    "livenes period=1": f"kind is 'livenes'; did you mean 'liveness'? {EXPECTED_KIND}",
    "liveness": NO_PERIOD,
    "startup timeout=1 failure_threshold=30": NO_PERIOD,
    "liveness period": "'period' has no value; expected period=VALUE",
    "liveness period=": "period is ''; expected a number",
    "liveness period=0": "probe period is 0.0; expected a finite number > 0",
    "liveness period=inf": "probe period is inf; expected a finite number > 0",
    "liveness period=1 timeout=0": "probe timeout is 0.0; expected a finite number > 0",
    "liveness period=1 failure_threshold=0": (
        "probe failure_threshold is 0; expected a whole number >= 1"
    ),
    "liveness failure_threshold=1.5": "failure_threshold is '1.5'; expected a whole number",
    "liveness timeout=1 timeout=2": "'timeout' is given twice; expected it once",
    "liveness perod=1": (
        "'perod' is unknown; did you mean 'period'? expected one of period, timeout, "
        "failure_threshold, success_threshold, initial_delay, termination_grace_period, io, cpu"
    ),
    "startup period=1 success_threshold=2": (
        "probe success_threshold is 2; expected 1 for a startup probe"
    ),
    "readiness period=1 termination_grace_period=5": (
        "probe termination_grace_period is given for a readiness probe, which ends nothing; "
        "expected it for a liveness or startup probe"
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_flag_refuses(text: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        probe_flag.parse(text)
    assert str(caught.value) == message


def test_flag_and_defaults_are_kubernetes() -> None:
    assert probe_flag.parse("liveness period=10") == Probe("liveness", 10.0, 1.0, 3, 1, 0.0, 30.0)
    said = probe_flag.parse("readiness period=2 success_threshold=2 io=exp:0.01")
    assert said == Probe(
        "readiness", period=2.0, success_threshold=2, io=Distribution("exp", (0.01,))
    )


def test_document_gives_probes_back_and_says_none_without() -> None:
    probes = (
        Probe("startup", period=0.5, termination_grace_period=3.0),
        Probe("readiness", period=5.0),
    )
    experiment = Experiment(probes=probes)
    assert from_dict(to_dict(experiment), "run") == experiment
    assert "probe" not in to_dict(Experiment())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[probe]]\nperiod = 1", f"[[probe]] 1 has no key 'kind'; {EXPECTED_KIND}"),
        (
            "[[probe]]\nkind = 'exec'\nperiod = 1",
            f"[[probe]] 1: probe kind is 'exec'; {EXPECTED_KIND}",
        ),
        (
            "[[probe]]\nkind = 'liveness'\ntimeout = 1",
            "[[probe]] 1 has no key 'period'; expected a number",
        ),
        ("probe = 3", "probe is 3; expected tables [[probe]]"),
        ("probe = [3]", "[[probe]] 1 is 3; expected a table"),
        (
            "[[probe]]\nkind = 'liveness'\nperiod = 1\ntimeout = 0",
            "[[probe]] 1: probe timeout is 0.0; expected a finite number > 0",
        ),
        (
            "[[probe]]\nkind = 'liveness'\nperiod = 1\n[[probe]]\nkind = 'liveness'\nperiod = 1",
            "there are 2 liveness probes; expected at most one",
        ),
    ],
)
def test_file_refuses(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read(file)
    assert str(caught.value) == f"{file}: {message}"


def test_command_line_refuses_in_one_line() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "sim", "--probe", "liveness timeout=1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr == f"error: --probe 'liveness timeout=1': {NO_PERIOD}\n"


def prober(**settings: object) -> Prober:
    probe = Probe(**{"kind": "liveness", "period": 10.0, **settings})  # type: ignore[arg-type]
    return Prober(Experiment(), 0, probe)


def test_ticks_keep_their_grid_and_one_that_was_missed_comes_at_once() -> None:
    of_two = prober(period=2.0)
    first = of_two.first
    assert 0 <= first < 2
    assert of_two.next_tick(-inf, 0.0) == first
    assert of_two.next_tick(first, first + 0.1) == first + 2
    # Out for two ticks and a half: one is made up for, and the next is on the grid again.
    late = of_two.next_tick(first, first + 5.0)
    assert late == first + 5
    assert of_two.next_tick(late, late + 0.1) == pytest.approx(first + 6)


def test_ticks_of_a_new_pod_begin_with_it() -> None:
    """Its container does not run yet at the first; the demands are drawn from other streams."""
    probe = Probe("readiness", period=2.0, io=Distribution("exp", (0.01,)))
    old, new = Prober(Experiment(), 0, probe), Prober(Experiment(), 0, probe, created=7.5)
    assert new.next_tick(-inf, 7.5) == 9.5
    assert new.next_tick(9.5, 9.6) == 11.5
    assert new.demands() != old.demands()


@pytest.mark.parametrize(
    ("grace_period", "pre_stop", "expected"),
    [
        (30.0, 0.0, Shutdown(0.0, 30.0)),
        (30.0, 5.0, Shutdown(5.0, 25.0)),
        # The hook is given up, and SIGKILL comes 2 s after SIGTERM at the earliest.
        (30.0, 29.0, Shutdown(29.0, 2.0)),
        (30.0, 60.0, Shutdown(30.0, 2.0)),
        (0.5, 0.0, Shutdown(0.0, 2.0)),
        (0.0, 5.0, Shutdown(0.0, 2.0)),
    ],
)
def test_shutdown_is_the_kubelets(grace_period: float, pre_stop: float, expected: Shutdown) -> None:
    assert shutdown(grace_period, pre_stop) == expected


def test_thresholds_count_results_in_a_row() -> None:
    ready = prober(kind="readiness", failure_threshold=3, success_threshold=2)
    results = [False, False, True, False, False, False, False, True, True, True]
    states = [ready.judge(success=success) for success in results]
    assert states == [None, None, None, None, None, False, False, None, True, True]
    assert not ready.on_hold


def test_failed_liveness_holds_until_there_is_another_container() -> None:
    live = prober(failure_threshold=2, initial_delay=1.0)
    assert live.judge(success=False) is None
    assert live.judge(success=False) is False
    assert not live.may_probe(5.0, started=True)
    live.renew()
    assert not live.may_probe(0.9, started=True)
    assert not live.may_probe(5.0, started=False)
    assert live.may_probe(5.0, started=True)
    assert live.judge(success=False) is None


def test_startup_probes_until_it_has_succeeded() -> None:
    startup = prober(kind="startup")
    assert startup.may_probe(0.0, started=False)
    assert not startup.may_probe(0.0, started=True)


def test_back_off_doubles_to_five_minutes_and_begins_anew_after_ten() -> None:
    back_off = BackOff()
    delays = [back_off.next_delay(60.0) for _ in range(8)]
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert back_off.next_delay(600.0) == 0
    assert back_off.next_delay(60.0) == 10


def test_run_file_gives_probes_back(tmp_path: Path) -> None:
    rows = Requests()
    for outcome in (OK, TIMEOUT):
        rows.outcome[rows.append(1.0, 0.5, 0.0)] = outcome
    probes = (Probed("liveness", rows[0]), Probed("readiness", rows[1]))
    run = Run("sim", to_dict(Experiment(probes=(Probe("liveness", period=10.0),))), 0, Requests())
    file = tmp_path / "run.jsonl"
    save([replace(run, probes=probes)], file)
    loaded = load(file)[0].probes
    assert [probed.kind for probed in loaded] == ["liveness", "readiness"]
    assert [probed.success for probed in loaded] == [True, False]
    assert loaded[0].request.arrival == 1.0
    save([run], file)
    assert '"probe": [' not in file.read_text().split("\n", 1)[1]


def test_notices_name_what_a_restart_waits_for() -> None:
    late = "graceful_timeout = 30 is not below termination_grace_period = 30 s of the liveness"
    patient = Experiment(probes=(Probe("liveness", period=10.0),))
    (notice,) = probe_notices(patient)
    assert notice.startswith(late)
    assert probe_notices(patient, ["server.graceful_timeout"]) == []
    quick = replace(patient, server=Server(graceful_timeout=20))
    assert probe_notices(quick) == []
    assert probe_notices(Experiment(probes=(Probe("readiness", period=10.0),))) == []
    stopped = replace(quick, disturbances=(Signal(1.0, "TERM", "master"),))
    (notice,) = probe_notices(stopped)
    assert notice.startswith("A signal stops the master of a container with probes")
    assert probe_notices(replace(stopped, probes=())) == []


def test_notices_of_a_rollout() -> None:
    ready, settled = (Probe("readiness", period=10.0),), Server(graceful_timeout=20)
    good = Rollout(1.0, pre_stop=5.0, endpoints=3.0, termination_grace_period=30.0)
    fits = Experiment(settled, probes=ready, disturbances=(good,))
    assert probe_notices(fits) == []
    (notice,) = probe_notices(replace(fits, probes=()))
    assert notice.startswith("The rollout has no readiness probe:")
    (notice,) = probe_notices(replace(fits, disturbances=(replace(good, pre_stop=2.0),)))
    assert notice.startswith("pre_stop = 2 s of the rollout is shorter than endpoints = 3 s:")
    late = replace(fits, server=Server(graceful_timeout=25))
    (notice,) = probe_notices(late)
    assert notice.startswith("graceful_timeout = 25 is not below the 25 s that pre_stop leaves")
    assert probe_notices(late, ["server.graceful_timeout"]) == []
