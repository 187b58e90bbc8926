"""What goes wrong, as a file, a flag and a run say it."""

from __future__ import annotations

import contextlib
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, LaunchDarkly, Traffic
from sim.experiment.disturbance import (
    KINDS,
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rate,
    Rollout,
    Signal,
)
from sim.experiment.document import to_dict
from sim.reading import disturbance_flag, experiment_file
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser

EXAMPLES = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))

#: What the flag ``--disturb`` takes, what the keys of a table are, and what both mean.
SAID: dict[str, tuple[str, Disturbance]] = {
    "10 signal KILL worker 2": ("signal = 'KILL'\nworker = 2", Signal(10.0, "KILL", worker=2)),
    "10 signal TERM": ("signal = 'TERM'", Signal(10.0, "TERM")),
    "10.5 signal HUP master": ("signal = 'HUP'\nto = 'master'", Signal(10.5, "HUP", "master")),
    "10 signal KILL all": ("signal = 'KILL'\nto = 'all'", Signal(10.0, "KILL", "all")),
    "5 crash": ("", Crash(5.0)),
    "5 crash worker 3": ("worker = 3", Crash(5.0, 3)),
    "5 hang worker 2 threads 2 seconds 30": (
        "worker = 2\nthreads = 2\nseconds = 30",
        Hang(5.0, 2, 2, 30.0),
    ),
    "0 hang seconds .5": ("seconds = 0.5", Hang(0.0, seconds=0.5)),
    "5 boot_error exit_code 4": ("exit_code = 4", BootError(5.0, 4)),
    "5 launchdarkly unreachable": ("reachable = false", FlagService(5.0, reachable=False)),
    "8 launchdarkly latency 0.2": ("latency = 0.2", FlagService(8.0, latency=0.2)),
    "8 launchdarkly reachable latency 1": (
        "reachable = true\nlatency = 1",
        FlagService(8.0, reachable=True, latency=1.0),
    ),
    "5 traffic rate 80": ("rate = 80", Rate(5.0, 80.0)),
    "5 traffic rate 0": ("rate = 0", Rate(5.0, 0.0)),
    "5 rollout": ("", Rollout(5.0, 0.0, 1.0, 30.0)),
    "5 rollout pre_stop 4 endpoints 3 termination_grace_period 40": (
        "pre_stop = 4\nendpoints = 3\ntermination_grace_period = 40",
        Rollout(5.0, 4.0, 3.0, 40.0),
    ),
}

ENABLED = Experiment(launchdarkly=LaunchDarkly(enabled=True))


def read(text: str, base: Experiment = ENABLED) -> Experiment:
    return experiment_file.from_dict(tomllib.loads(text), "x.toml", base)


def table(spec: str, keys: str) -> str:
    at, kind = spec.split()[:2]
    return f"[[disturbance]]\nat = {float(at)}\nkind = '{kind}'\n{keys}\n"


def parsed(*arguments: str) -> tuple[Experiment, tuple[str, ...]]:
    parser = OneLineParser()
    add_experiment_arguments(parser)
    return experiment_from(parser.parse_args(["--launchdarkly", *arguments]))


def test_every_kind_and_field_is_said_above() -> None:
    assert {type(meant) for _, meant in SAID.values()} == set(KINDS.values())
    for kind, schema in KINDS.items():
        said = {
            field.name
            for _, meant in SAID.values()
            for field in fields(meant)
            if meant.kind == kind and getattr(meant, field.name) != field.default
        }
        assert said == {field.name for field in fields(schema)}
    assert disturbance_flag.FORMS.keys() == KINDS.keys()


@pytest.mark.parametrize(("spec", "keys", "meant"), [(k, *v) for k, v in SAID.items()], ids=SAID)
def test_a_flag_and_a_table_mean_the_same(spec: str, keys: str, meant: Disturbance) -> None:
    assert disturbance_flag.parse(spec) == meant
    assert read(table(spec, keys)).disturbances == (meant,)


def test_a_document_has_a_list_of_tables_without_what_is_none() -> None:
    assert to_dict(Experiment())["disturbance"] == []
    experiment = Experiment(
        launchdarkly=ENABLED.launchdarkly,
        disturbances=(FlagService(8.0, latency=0.2), Signal(2.0, "HUP", "master")),
    )
    document = to_dict(experiment)
    assert document["disturbance"] == [
        {"kind": "signal", "at": 2.0, "signal": "HUP", "to": "master", "worker": 1},
        {"kind": "launchdarkly", "at": 8.0, "latency": 0.2},
    ]
    assert experiment_file.from_dict(document, "run") == experiment


def test_a_file_replaces_what_the_base_has_and_only_if_it_says_any() -> None:
    base = Experiment(disturbances=(Crash(1.0),))
    assert read("seed = 2", base).disturbances == (Crash(1.0),)
    assert read("[[disturbance]]\nkind = 'hang'\nat = 2", base).disturbances == (Hang(2.0),)
    assert read("disturbance = []", base).disturbances == ()


def test_flags_add_to_a_file_and_all_are_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[[disturbance]]\nkind = 'hang'\nat = 4\n", encoding="utf-8")
    flags = ("--disturb", "7 crash", "--disturb", "2 traffic rate 9")
    assert parsed("--experiment", str(path), *flags)[0].disturbances == (
        Rate(2.0, 9.0),
        Hang(4.0),
        Crash(7.0),
    )
    assert parsed(*flags)[0].disturbances == (Rate(2.0, 9.0), Crash(7.0))


TABLES_REFUSED: dict[str, tuple[str, str]] = {
    "no kind": ("at = 1", "has no key 'kind'; expected one of signal, crash, hang,"),
    "other kind": ("kind = 'burn'", "kind is 'burn'; expected one of signal, crash"),
    "number for kind": ("kind = 3", "kind is 3; expected one of signal"),
    "list for kind": ("kind = ['crash']", "kind is ['crash']; expected one of signal"),
    "no time": ("kind = 'crash'", "has no key 'at'; expected a number"),
    "no signal": ("kind = 'signal'\nat = 1", "has no key 'signal'; expected text in quotes"),
    "no rate": ("kind = 'traffic'\nat = 1", "has no key 'rate'; expected a number"),
    "unknown key": ("kind = 'crash'\nat = 1\nwroker = 1", "unknown key 'wroker'; did you mean 'wo"),
    "key of another": ("kind = 'crash'\nat = 1\nrate = 1", "has an unknown key 'rate'"),
    "text": ("kind = 'crash'\nat = '1'", "at is '1'; expected a number"),
    "fraction": ("kind = 'hang'\nat = 1\nthreads = 1.5", "threads is 1.5; expected a whole number"),
    "bool for int": ("kind = 'crash'\nat = 1\nworker = true", "worker is True; expected a whole"),
    "number for bool": ("kind = 'launchdarkly'\nat = 1\nreachable = 1", "reachable is 1; expected"),
    "early": ("kind = 'crash'\nat = -1", "at is -1.0; expected a finite number >= 0"),
    "never": ("kind = 'crash'\nat = inf", "at is inf; expected a finite number >= 0"),
    "no worker": (
        "kind = 'crash'\nat = 1\nworker = 0",
        "worker is 0; expected a whole number >= 1",
    ),
    "no such signal": (
        "kind = 'signal'\nat = 1\nsignal = 'HUP'",
        "signal is 'HUP'; to a worker, e",
    ),
    "no such end": (
        "kind = 'signal'\nat = 1\nsignal = 'HUP'\nto = 'client'",
        "to is 'client'; expected master, worker or all",
    ),
    "worker of the master": (
        "kind = 'signal'\nat = 1\nsignal = 'HUP'\nto = 'master'\nworker = 2",
        "worker is 2 beside to = 'master'; expected one of them",
    ),
    "nothing changes": ("kind = 'launchdarkly'\nat = 1", "neither reachable nor latency is given"),
    "exit code": ("kind = 'boot_error'\nat = 1\nexit_code = 1", "exit_code is 1; expected 3 or 4"),
}


@pytest.mark.parametrize(("keys", "message"), TABLES_REFUSED.values(), ids=TABLES_REFUSED)
def test_a_table_is_refused_by_its_number_in_one_line(keys: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(f"[[disturbance]]\nkind = 'crash'\nat = 1\n[[disturbance]]\n{keys}")
    assert str(caught.value).startswith("x.toml: [[disturbance]] 2 ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[disturbance]\nat = 1", r"x.toml: disturbance is {'at': 1}; expected tables \[\["),
        ("disturbance = 'crash'", r"x.toml: disturbance is 'crash'; expected tables \[\["),
        ("disturbance = [3]", r"x.toml: \[\[disturbance\]\] 1 is 3; expected a table"),
        ("[[disturbances]]", "unknown key 'disturbances'; did you mean 'disturbance'"),
    ],
)
def test_what_is_no_array_of_tables_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        read(text)


SPECS_REFUSED: dict[str, str] = {
    "": "expected a time in s and a kind, as in '10 signal KILL worker 1'",
    "10": "expected a time in s and a kind",
    "soon crash": "at is 'soon'; expected a number",
    "-1 crash": "at is -1.0; expected a finite number >= 0",
    "5 crsh": "kind is 'crsh'; did you mean 'crash'? expected one of signal,",
    "5 crash wroker 1": "'wroker' is not understood; expected 'AT crash [worker N]'",
    "5 crash worker": "there is no number after 'worker'; expected 'AT crash",
    "5 crash worker two": "worker is 'two'; expected a whole number",
    "5 crash worker 0": "worker is 0; expected a whole number >= 1",
    "5 hang worker 1 worker 2": "'worker' is one too many; expected 'AT hang",
    "5 signal": "there is no signal; expected 'AT signal NAME",
    "5 signal HUP": "signal is 'HUP'; to a worker, expected one of KILL,",
    "5 signal HUP all": "signal is 'HUP'; to all processes, expected one of TERM, INT, QUIT, KILL",
    "5 signal TERM all worker 1": "'worker' is one too many; expected 'AT signal",
    "5 signal TERM master worker 1": "'worker' is one too many; expected 'AT signal",
    "5 traffic": "there is no rate; expected 'AT traffic rate PER_S'",
    "5 traffic rate -1": "rate is -1.0; expected a finite number >= 0",
    "5 launchdarkly": "neither reachable nor latency is given",
    "5 launchdarkly reachable unreachable": "'unreachable' is one too many",
    "5 rollout prestop 4": "'prestop' is not understood; expected 'AT rollout [pre_stop S]",
    "5 rollout pre_stop -1": "pre_stop is -1.0; expected a finite number >= 0",
    "5 rollout endpoints inf": "endpoints is inf; expected a finite number >= 0",
    "5 rollout termination_grace_period -2": "termination_grace_period is -2.0; expected a finite",
}


@pytest.mark.parametrize(("spec", "message"), SPECS_REFUSED.items(), ids=SPECS_REFUSED)
def test_a_flag_is_refused_in_one_line(
    spec: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("--disturb", spec)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --disturb {spec!r}: ")
    assert message in error
    assert error.count("\n") == 1


VOCABULARY = ["0", "1", "3", "0.5", "-1", "nan", "KILL", "HUP", *KINDS, "master", "reachable"]
VOCABULARY += sorted({field.name for schema in KINDS.values() for field in fields(schema)})


@given(st.lists(st.sampled_from(VOCABULARY), max_size=9).map(" ".join))
def test_whatever_a_flag_says_is_understood_or_refused(spec: str) -> None:
    with contextlib.suppress(ExperimentError):
        assert type(disturbance_flag.parse(spec)) is KINDS[spec.split()[1]]


@pytest.mark.parametrize("arrivals", ["closed", "trace"])
def test_only_an_open_loop_has_a_rate_to_change(arrivals: str) -> None:
    trace = "trace = [[0.0, 0.0, 0.0]]" if arrivals == "trace" else ""
    with pytest.raises(ExperimentError, match="the disturbance at 2 s changes the rate of"):
        read(
            f"[traffic]\narrivals = '{arrivals}'\n{trace}\n"
            "[[disturbance]]\nkind = 'traffic'\nat = 2\nrate = 5"
        )


def test_launchdarkly_changes_only_where_there_is_one() -> None:
    with pytest.raises(ExperimentError, match="at 2 s changes launchdarkly, which is off"):
        read("[[disturbance]]\nkind = 'launchdarkly'\nat = 2\nreachable = false", Experiment())


@pytest.mark.parametrize(
    ("disturbances", "host", "message"),
    [
        ((Rollout(1.0), Rollout(9.0)), Host(), "there are 2 rollouts; expected at most one"),
        (
            (Rollout(1.0), Signal(9.0, "USR2", "master")),
            Host(),
            "a rollout at 1 s and a SIGUSR2 at 9 s; expected one of them",
        ),
        ((Rollout(1.0),), Host(cpu_limit=0.5), "a rollout at 1 s and a cpu_limit of 0.5; expected"),
    ],
)
def test_a_rollout_is_alone(
    disturbances: tuple[Disturbance, ...], host: Host, message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        Experiment(host=host, disturbances=disturbances)


@pytest.mark.parametrize(("at", "enough"), [(20.0, False), (29.9999, True), (50.0, True)])
def test_rates_that_would_fill_the_memory_are_refused(at: float, enough: bool) -> None:
    def make() -> Experiment:
        return Experiment(traffic=Traffic(duration=30.0), disturbances=(Rate(at, 1e7),))

    if enough:
        assert make().rates == ((0.0, 56.0), (at, 1e7))
    else:
        with pytest.raises(
            ExperimentError, match=r"make 1.*e.08 requests in 30 s; expected at most"
        ):
            make()


def test_what_comes_after_the_last_arrival_is_noticed() -> None:
    flags: tuple[str, ...] = ("--duration", "9", "--disturb", "8.9 crash", "--disturb", "9 hang")
    assert parsed(*flags)[1] == (
        "The disturbance at 9 s comes after the last arrival; it happens only if a request still "
        "waits for its answer then.",
    )
    assert parsed("--requests", "900", "--disturb", "99 crash")[1] == ()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_goes_wrong_and_does_not_take_long(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    experiment = experiment_file.read(path)
    document: dict[str, Any] = to_dict(experiment)
    assert experiment_file.from_dict(document, "run") == experiment
    slow = experiment.traffic.first_byte.mean > 0
    assert experiment.disturbances or experiment.server.max_requests or slow
    assert experiment.server.preload_app
    assert 6 <= experiment.traffic.duration <= 15
    assert all(what.at < experiment.traffic.duration for what in experiment.disturbances)
