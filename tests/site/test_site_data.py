"""What pages are made from: measurements, predictions, and the words for them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from inspect import unwrap
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.experiment.release import NEWEST
from sim.model.simulation import predict
from sim.run import Run
from site_docs.charts.catalogue import draw
from site_docs.rendering import language, numbers
from site_docs.rendering.case_table import tried
from site_docs.runs import build_cache, cases, evidence, measured
from site_docs.runs.measured import Measured, Provenance
from site_docs.runs.page_experiments import by_name

ROOT = Path(__file__).parents[2]
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
    assert found.provenance == Provenance.here_and_now(NEWEST)
    assert found.provenance.versions["gunicorn"].startswith("27.")


def test_a_measurement_names_the_packages_of_its_worker_class(run: Run, tmp_path: Path) -> None:
    server = {**run.experiment["server"], "worker_class": "uvicorn"}
    measured.save("x", [replace(run, experiment={**run.experiment, "server": server})], tmp_path)
    versions = measured.load("x", tmp_path).provenance.versions
    assert {"starlette", "uvicorn", "uvicorn_worker", "launchdarkly-server-sdk"} < set(versions)
    assert "flask" not in versions


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
    with pytest.raises(ExperimentError, match="was measured as another experiment"):
        unwrap(evidence.evidence)(NAME)


def test_a_measurement_of_other_requests_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.requests.arrival[3] += 0.001
    monkeypatch.setattr(measured, "load", lambda _: Measured((run,), HERE))
    with pytest.raises(ExperimentError, match="was measured with other requests"):
        unwrap(evidence.evidence)(NAME)


def test_every_server_of_a_case_is_an_experiment() -> None:
    name, server = next(iter(cases.experiments("slow-neighbour").items()))
    assert name == "slow-neighbour-1"
    assert by_name()[name].arguments.startswith(f"{server} --preload --rate 20")
    assert by_name()[name].experiment().server.workers == 4


#: s from "Worker exiting" to the resets of those who wait in the worker's own accept queue.
CLOSING = 0.02


@pytest.mark.parametrize("side", ["predicted", "measured"])
def test_a_retiring_worker_resets_its_queue_before_it_is_gone(side: str) -> None:
    runs: tuple[Run, ...] = getattr(evidence.evidence("retiring-worker-1"), side)
    for run in runs:
        exits = [event.time for event in run.events if event.kind == "exiting"]
        resets = [row.finished for row in run.requests if row.outcome == "reset"]
        assert len(resets) > 5
        late = [time for time in resets if not any(0 <= time - exit < CLOSING for exit in exits)]
        assert late == []


def test_a_case_is_a_table_of_both_sides_of_each_server() -> None:
    lines = tried("full-backlog", ("latency_mean", "lost")).splitlines()
    assert lines[0] == "| settings | mean, predicted | measured | lost, predicted | measured |"
    servers = cases.experiments("full-backlog").values()
    for line, server in zip(lines[2:5], servers, strict=True):
        first = line.split(" | ")[0]
        assert first.startswith('| <a href="')
        assert first.endswith(f"><code>{server}</code></a>")
    figure = evidence.evidence("full-backlog-3").comparison.figure("latency_mean")
    both = (numbers.ms(figure.predicted), numbers.ms(figure.measured))
    assert lines[4].split(" | ")[1:3] == list(both)
    assert lines[-2].startswith(f"$ python -m reference_app compare {next(iter(servers))} ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nload = 1", "[a] load is 1; expected text in quotes"),
        ("[a]\nlaod = ''", "[a] has an unknown key 'laod'; did you mean 'load'?"),
        ("[a]\nload = ''\nrepeats = 1", "[a] has no key 'servers'; expected a list"),
        ("a = 1", "[a] is 1; expected a table"),
    ],
)
def test_a_case_is_refused_by_name_and_key(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "cases.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentError, match=re.escape(f"cases.toml: {message}")):
        cases.read(tmp_path / "cases.toml")


def test_what_is_computed_is_kept_until_a_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_cache, "ROOT", tmp_path)
    monkeypatch.setattr(build_cache, "DIRECTORY", tmp_path / "cache")
    source = tmp_path / "sim" / "model.py"
    source.parent.mkdir()
    source.write_text("1", encoding="utf-8")
    computed = []

    @build_cache.cached_on_disk
    def double(number: int) -> int:
        computed.append(number)
        return 2 * number

    try:
        build_cache.forget()
        assert (double(1), double(1), double(2)) == (2, 2, 4)
        assert computed == [1, 2]
        build_cache.forget()  # as another process, which finds the files
        assert double(1) == 2
        assert computed == [1, 2]
        source.write_text("2", encoding="utf-8")
        build_cache.forget()
        assert double(1) == 2
        assert computed == [1, 2, 1]
        assert len(list((tmp_path / "cache").iterdir())) == 2
        build_cache.sweep_out()
        assert list((tmp_path / "cache").iterdir()) == [build_cache.directory()]
        # Cut off: as if it was not there.
        next(build_cache.directory().iterdir()).write_bytes(b"")
        build_cache.forget()
        assert double(1) == 2
    finally:
        monkeypatch.undo()
        build_cache.forget()


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
    assert unwrap(draw)("quantiles-gthread-1x4") == chart


def test_an_experiment_that_is_not_shown_cannot_be_measured() -> None:
    command = [sys.executable, "-m", "site_docs", "measure", "nothing"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: 'nothing' is not shown; expected some of ")
    assert done.stderr.count("\n") == 1
