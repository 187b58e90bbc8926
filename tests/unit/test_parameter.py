"""The flag ``--over``: what it means, and that what it cannot mean is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ExperimentError
from sim.experiment import Experiment, TraceRow, Traffic
from sim.experiment.disturbance import Signal
from sim.study.parameter import KILL, PACE, Parameter, at, parse, points


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("workers=1..4", "workers", (1, 2, 3, 4)),
        ("threads=1,2,4", "threads", (1, 2, 4)),
        ("threads=1..3,8", "threads", (1, 2, 3, 8)),
        ("rate=50..200..75", "rate", (50.0, 125.0, 200.0)),
        ("rate=0.1..0.3..0.1", "rate", (0.1, 0.2, 0.3)),
        ("rate=10..15..10", "rate", (10.0,)),
        ("io=exp:0.05,uniform:0,0.1", "io", ("exp:0.05", "uniform:0.0,0.1")),
        ("worker-class=sync,gthread", "worker_class", ("sync", "gthread")),
        ("reuse_port=false,true", "reuse_port", (False, True)),
        ("client_timeout=1", "client_timeout", (1.0,)),
        ("costs.accept=1e-4,2e-4", "costs.accept", (1e-4, 2e-4)),
        ("pace=1,1.5", "pace", (1.0, 1.5)),
    ],
)
def test_what_it_means(text: str, name: str, values: tuple[object, ...]) -> None:
    assert parse(text) == Parameter(name, values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers", "'workers' has no values; expected NAME=VALUES, as in workers=1..8"),
        ("workers=", "'workers=' has no values"),
        ("wokers=1", "'wokers' is no parameter; did you mean 'workers'"),
        ("seed=1,2", "'seed' is no parameter"),
        ("workers=two", "workers is 'two'; expected a whole number"),
        ("workers=1.5", "workers is '1.5'; expected a whole number"),
        ("workers=1..", "workers is '1..'; expected LOW..HIGH or LOW..HIGH..STEP"),
        ("workers=4..1", "workers is '4..1'; expected a range from low to high"),
        ("workers=1..4..0", "expected a range from low to high with a step above 0"),
        ("workers=1..1000000", "workers has 1000000 values; expected at most 1000"),
        ("workers=1,2,1", "workers has the value 1 twice"),
        ("rate=nan", "rate is 'nan'; expected a finite number"),
        ("rate=1..inf", "rate is 'inf'; expected a finite number"),
        ("io=exp", "io: distribution 'exp' is not understood"),
        ("worker_class=tornado", "worker_class is 'tornado'; expected sync, gthread"),
        ("preload_app=maybe", "preload_app is 'maybe'; expected true or false"),
        ("traffic.trace=1", "traffic.trace cannot be varied"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        parse(text)
    assert message in str(refused.value)


def test_points_vary_the_last_parameter_first() -> None:
    space = points((parse("workers=1,2"), parse("threads=3,4")))
    assert [tuple(value for _, value in point) for point in space] == [
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
    ]


def test_a_point_changes_what_it_names_and_nothing_else() -> None:
    base = Experiment()
    changed = at(base, (("workers", 3), ("rate", 7.0), ("cores", 8), ("io", "const:1.0")))
    assert (changed.server.workers, changed.traffic.rate, changed.host.cores) == (3, 7.0, 8)
    assert changed.traffic.io.mean == 1.0
    assert at(changed, ()) == changed
    assert changed.traffic.cpu == base.traffic.cpu


def test_a_point_out_of_range_is_named() -> None:
    with pytest.raises(ExperimentError, match="workers = 0: workers is 0; expected"):
        at(Experiment(), (("workers", 0),))


def test_a_killed_worker_is_all_that_goes_wrong() -> None:
    base = Experiment(disturbances=(Signal(1.0, "HUP", "master"),))
    assert at(base, ((KILL, 5.0),)).disturbances == (Signal(5.0, "KILL"),)


def test_pace_is_of_a_trace() -> None:
    rows = (TraceRow(0.0, 0.1, 0.0), TraceRow(4.0, 0.1, 0.0))
    base = Experiment(traffic=Traffic(arrivals="trace", trace=rows))
    assert at(base, ((PACE, 2.0),)).traffic.trace[1] == TraceRow(2.0, 0.1, 0.0)
    with pytest.raises(ExperimentError, match="pace is 0"):
        at(base, ((PACE, 0.0),))
    with pytest.raises(ExperimentError, match="arrivals is 'poisson'; expected a trace"):
        at(Experiment(), ((PACE, 2.0),))


@settings(max_examples=50)
@given(st.text(max_size=30))
def test_any_text_is_a_parameter_or_refused(text: str) -> None:
    for prefix in ("", "workers=", "rate=", "io="):
        try:
            found = parse(prefix + text)
        except ExperimentError:
            continue
        assert len(set(found.values)) == len(found.values) >= 1
