"""``fit``: a distribution is found again in its own samples, and what fits none is said.

Goal: a fitted demand is as good as the trace, or the report says that it is not. Method: samples
of known distributions and of mixtures of them, any times at all (Hypothesis), and the command as a
shell sees it.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.cli import main
from sim.command import run_command
from sim.experiment import TraceRow
from sim.experiment.distribution import PARAMETERS, Distribution
from sim.reading import experiment_file, trace_file
from sim.study.fit.demand import ALL, fitted
from sim.study.fit.fitting import best_fit, quantile_of
from sim.study.fit.report import remarks

TRUE = (
    "const:0.05",
    "exp:0.05",
    "uniform:0.02,0.08",
    "lognorm:0.05,1.5",
    "lognorm:2,0.3",
    "bimodal:0.9,0.01,2",
)


def samples(text: str, number: int = 3000, seed: int = 5) -> list[float]:
    draw = Distribution.parse(text).sampler(Random(seed))
    return [draw() for _ in range(number)]


@pytest.mark.parametrize("text", TRUE)
def test_a_distribution_is_found_again(text: str) -> None:
    true = Distribution.parse(text)
    fit = best_fit(samples(text))
    assert fit.fits
    assert fit.distribution.kind == true.kind
    for found, expected in zip(fit.distribution.parameters, true.parameters, strict=True):
        assert found == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("text", TRUE)
def test_quantiles_are_those_of_samples(text: str) -> None:
    drawn = sorted(samples(text, 20_000))
    quantile = quantile_of(Distribution.parse(text))
    for place in (0.1, 0.5, 0.85, 0.97):
        assert quantile(place) == pytest.approx(drawn[int(place * len(drawn))], rel=0.08)


def test_the_simpler_one_is_taken_where_both_are_close() -> None:
    # A log-normal of that spread is hardly farther from an exponential's samples.
    assert best_fit(samples("exp:0.05", 40)).distribution.kind in ("exp", "const")
    assert best_fit([0.05] * 100).distribution == Distribution.parse("const:0.05")
    assert best_fit([0.0] * 100).distribution == Distribution.parse("const:0")


def test_what_fits_none_is_said() -> None:
    three = [*samples("const:0.01", 900), *samples("const:0.5", 900), *samples("const:4", 900)]
    fit = best_fit(three)
    assert not fit.fits
    rows = [TraceRow(number / 10, time, 0.0) for number, time in enumerate(three)]
    (said, _) = remarks(fitted(rows))
    assert said.startswith(f"{ALL}: no distribution fits the I/O; --trace replays")


def test_chance_is_judged_at_its_level() -> None:
    """Of samples from the distribution itself, one in twenty may be called strange."""
    strange = sum(best_fit(samples("exp:0.05", 200, seed)).chance < 0.05 for seed in range(60))
    assert strange <= 9  # P(more) < 0.1 % at 5 %; fitted parameters make it rarer.


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
@example([66_976.0, 72_127.0, 550_300.0, 689_515.0, 690_233.0, 976_042.0, 1.5])
def test_any_times_have_a_fit(times: list[float]) -> None:
    fit = best_fit(times)
    assert fit.distribution.kind in PARAMETERS
    assert 0 <= fit.chance <= 1
    assert math.isfinite(fit.distance)
    assert fit == best_fit(times)


def test_bursts_and_what_goes_together_are_said() -> None:
    random, time, rows = Random(2), 0.0, []
    for number in range(2000):
        time += random.expovariate(400) if number % 20 else 1.0
        size = random.expovariate(20)
        rows.append(TraceRow(time, size, size / 10))
    service = fitted(rows)
    assert service.spread is not None
    assert service.spread > 2
    said = " ".join(remarks(service))
    assert "Requests come in bursts" in said
    assert "go together (correlation 1.00)" in said


# --- the command ----------------------------------------------------------------------------------

Fit = Callable[..., tuple[object, str, str]]


@pytest.fixture
def fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fit:
    """``python -m sim fit`` in a folder with a trace of two routes: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    random, time, rows = Random(3), 0.0, []
    for _ in range(2000):
        time += random.expovariate(50)
        if random.random() < 0.1:
            rows.append(TraceRow(time, random.expovariate(1), 0.08, "/report"))
        else:
            rows.append(TraceRow(time, random.expovariate(40), 0.0, "/"))
    trace_file.write(tmp_path / "trace.csv", rows)

    def call(*arguments: str) -> tuple[object, str, str]:
        try:
            status: object = run_command(lambda: main(["fit", *arguments]))
        except SystemExit as stop:
            status = stop.code
        return (status, *capsys.readouterr())

    return call


def test_what_is_written_is_an_experiment(fit: Fit, tmp_path: Path) -> None:
    status, out, err = fit("trace.csv", "--out", "demand.toml", "--chart", "demand.svg")
    assert (status, err) == (0, "")
    assert "2,000 requests" in out
    document = tomllib.loads((tmp_path / "demand.toml").read_text(encoding="utf-8"))
    experiment = experiment_file.from_dict(document, "demand.toml")
    first, second = experiment.traffic.routes
    assert (first.name, second.name) == ("/", "/report")
    assert first.share == pytest.approx(0.9, abs=0.02)
    assert second.io.kind == "exp"
    assert second.cpu == Distribution.parse("const:0.08")
    rows = trace_file.read(tmp_path / "trace.csv")
    mean = first.share * first.io.mean + second.share * second.io.mean
    assert mean == pytest.approx(fmean(row.io_s for row in rows), rel=0.05)
    assert (tmp_path / "demand.svg").read_text(encoding="utf-8").count("/report") >= 2


def test_a_document_says_the_same(fit: Fit) -> None:
    status, out, _ = fit("trace.csv", "--json")
    value = json.loads(out)
    assert status == 0
    assert value["schema"] == "gunicorn-fit/1"
    assert [route["name"] for route in value["routes"]] == ["/", "/report"]
    assert value["routes"][1]["cpu"]["distribution"] == "const:0.08"
    assert value["routes"][1]["cpu"]["fits"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "fit is given no requests; expected a trace (FILE.csv) or an access log"),
        (("missing.csv",), "missing.csv: cannot be read"),
        (("trace.csv", "--trace", "trace.csv"), "--trace and trace.csv are both given"),
        (("trace.csv", "--out", "missing/demand.toml"), "missing/demand.toml"),
    ],
)
def test_bad_input_is_one_line(fit: Fit, arguments: tuple[str, ...], message: str) -> None:
    status, out, err = fit(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
