"""What pages are made from: measurements, predictions, and the words for them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sim import validation_rows
from sim.errors import ExperimentError
from sim.model.simulation import predict
from sim.run import Run
from site_docs import evidence, language, measured, numbers, validated
from site_docs.charts.agreement import agreement
from site_docs.charts.catalogue import draw
from site_docs.measured import Measured, Provenance
from site_docs.shown import by_name

ROOT = Path(__file__).parent.parent
HERE = Provenance("2026-01-02", "a processor", 2, "Linux 6", {"python": "3", "gunicorn": "27"})
NAME = "worker-killed"


@pytest.fixture
def run() -> Run:
    """A run of an experiment that is shown."""
    return predict(by_name()[NAME].experiment())


def test_what_was_measured_is_read_as_it_was_saved(run: Run, tmp_path: Path) -> None:
    measured.save("x", [run, run], tmp_path)
    found = measured.load("x", tmp_path)
    assert len(found.runs) == 2
    assert list(found.runs[0].requests.arrival) == list(run.requests.arrival)
    assert found.provenance == Provenance.here_and_now()
    assert found.provenance.versions["gunicorn"].startswith("27.")


def test_what_was_not_measured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"x\.jsonl: cannot be read"):
        measured.load("x", tmp_path)


def test_every_experiment_of_the_repository_was_measured() -> None:
    assert [name for name in by_name() if not measured.exists(name)] == []


def test_a_measurement_of_another_experiment_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**run.experiment, "server": {**run.experiment["server"], "timeout": 7}}
    monkeypatch.setattr(
        measured, "load", lambda _: Measured((replace(run, experiment=other),), HERE)
    )
    evidence.evidence.cache_clear()
    with pytest.raises(ExperimentError, match="was measured as another experiment"):
        evidence.evidence(NAME)


def test_a_measurement_of_other_requests_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.requests.arrival[3] += 0.001
    monkeypatch.setattr(measured, "load", lambda _: Measured((run,), HERE))
    evidence.evidence.cache_clear()
    with pytest.raises(ExperimentError, match="was measured with other requests"):
        evidence.evidence(NAME)


def test_a_page_takes_its_numbers_from_the_data() -> None:
    page = '{{ predicted("gthread-1x4", "latency_mean")|ms }}'
    figure = evidence.evidence("gthread-1x4").comparison.figure("latency_mean")
    assert language.render(language.environment(), page, [], "p.md") == numbers.ms(figure.predicted)


@pytest.mark.parametrize(
    ("page", "holds", "message"),
    [
        ("{{ latency }}", [], "p.md: 'latency' is undefined"),
        ("{% if %}", [], "p.md: "),
        ('{{ predicted("nothing", "latency_mean") }}', [], "'nothing' is not shown"),
        ("", ["1 > 2"], "p.md: 1 > 2 does not hold"),
        ("", ["nothing"], "p.md: 'nothing' is undefined"),
        ('{{ chart("nothing") }}', [], "'nothing' is no chart"),
        ('{{ diagram("nothing") }}', [], "'nothing' is no diagram"),
        ('{{ verdicts("nothing") }}', [], "'nothing' is no section of the FAQ"),
    ],
)
def test_a_page_that_says_what_is_not_so_is_an_error(
    page: str, holds: list[str], message: str
) -> None:
    with pytest.raises(ExperimentError) as error:
        language.render(language.environment(), page, holds, "p.md")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.ms(0.0123), "12 ms"),
        (numbers.ms(0.00123), "1.2 ms"),
        (numbers.ms(None), "not known"),
        (numbers.seconds(0.5), "500 ms"),
        (numbers.seconds(12.345), "12.35 s"),
        (numbers.seconds(None), "never"),
        (numbers.rate(51.66), "51.7/s"),
        (numbers.percent(0.123), "12 %"),
        (numbers.percent(0.0123), "1.2 %"),
        (numbers.signed_percent(-0.05), "-5.0 %"),
        (numbers.count(3.0), "3"),
        (numbers.count(3.25), "3.2"),
        (numbers.factor(3.72), "3.7"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected


def test_a_chart_has_no_colour_and_no_id_but_its_own() -> None:
    chart = draw("quantiles-gthread-1x4")
    for svg in (chart.wide, chart.narrow):
        assert re.findall(r"#[0-9a-f]{6}\b", svg) == []
        assert "var(--chart-predicted)" in svg
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert len(set(ids)) == len(ids)
        assert all(name.startswith("quantiles-gthread-1x4-") for name in ids)
    assert draw.__wrapped__("quantiles-gthread-1x4") == chart


def test_an_experiment_that_is_not_shown_cannot_be_measured() -> None:
    command = [sys.executable, "-m", "site_docs", "measure", "nothing"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: 'nothing' is not shown; expected some of ")
    assert done.stderr.count("\n") == 1


def values(scale: float) -> dict[str, float | None]:
    """Figures of a repeat, or of a variant."""
    return {
        "latency_mean": 0.1 * scale,
        "latency_p50": 0.08 * scale,
        "latency_p95": 0.3 * scale,
        "latency_p99": 0.4 * scale,
        "throughput": 50.0,
        "share_worker_1": 0.4,
        "share_worker_2": 0.6,
    }


def test_the_validation_is_told_as_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "validation.jsonl"
    machine = {"cores": 2, "processor": "a processor", "system": "Linux 6"}
    header = validation_rows.Header("2026-01-02T03:04:05", machine, {}, 2, 2, {})
    experiment = {"server": {"workers": 2, "worker_class": "gthread"}}
    rows = [
        validation_rows.Row(
            number,
            f"cell {number}",
            "2026-01-02",
            experiment,
            repeats=[values(1.0), values(1.01)],
            outcomes=[{"ok": 1}, {"ok": 1}],
            variants=[values(error), values(error)],
            ideal={**values(0.5), "share_worker_1": None, "share_worker_2": None},
            others=[0.0, 0.0],
        )
        for number, error in ((1, 1.02), (2, 1.3))
    ]
    validation_rows.write(path, header, rows)
    assert validated.where(path).startswith("2 cells, each measured 2 times and predicted 2 times")
    assert "- worst error of mean <= 15%: **missed**" in validated.targets(path)
    assert "| latency mean | 2 cells |" in validated.measures(path)
    first, second = validated.cells(path).splitlines()[2:]
    assert first.startswith("| 1 | cell 1 | 102 ms | 100 ms | +1.5 % |")
    assert second.startswith("| 2 | cell 2 | 130 ms | 100 ms | +29.4 % |")
    chart = agreement("agreement", "Every cell", validated.read(path)[1])
    assert [cell["predicted"] for cell in chart.data["cells"]] == [102.0, 130.0]
