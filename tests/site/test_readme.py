"""README: short enough to be read, and its figures of the validation are those of the rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.analysis.summary import summarize
from sim.validation.class_grid import CLASSES, class_cells
from site_docs.rendering import (
    class_validation,
    release_validation,
    sample_validation,
    validated,
)
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import FAQ_RELEASE

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
TEXT = " ".join(README.split())

#: Lines of README at most: what a newcomer reads before the first command.
LINES = 150


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= LINES


#: Figures whose errors it has, in its order.
NAMES = ("latency_mean", "latency_p50", "latency_p95")


def in_sample(of: str) -> list[float]:
    """An error of each of them, an attribute of `sim.validation.verdict.Measure`."""
    return [getattr(validated.measure(name), of) for name in NAMES]


def out_of_sample(of: str) -> list[float]:
    """The same of the last rows that nothing was mended for."""
    return [getattr(sample_validation.read(3).measure(name), of) for name in NAMES]


def test_the_validation_out_of_sample_is_what_its_rows_say() -> None:
    before, found = map(sample_validation.read, (2, 3))
    mean, median, p95 = map(found.measure, NAMES)
    results = (*before.validation.results, *found.validation.results)
    missed = [result for result in results if result.misses]
    assert all("keepalive" in each.name and "reuse_port" in each.name for each in missed)
    assert len(missed) == 4
    for sentence in (
        f"{len(before.rows) + len(found.rows)} experiments of a grid, drawn by two new seeds",
        f"repeats {mean.repeated} means, {median.repeated} medians and {p95.repeated} p95",
        f"reached {found.reached[0]} of {found.reached[1]} targets, those before "
        f"{before.reached[0]}: four cells,",
    ):
        assert sentence in TEXT


def test_the_validation_in_sample_is_what_the_rows_say() -> None:
    rows = validated.read()
    assert validated.reached() == "all 9 targets are reached"
    assert rows.header.predicted is not None, "the rows were predicted again"
    assert f"{len(rows.rows)} experiments that were fixed before any result" in TEXT
    mean, median, p95 = map(validated.measure, NAMES)
    shares = validated.measure("share")
    assert (
        f"{mean.noisy} means, {median.noisy} medians, {p95.noisy} p95 and {shares.noisy} shares"
        in TEXT
    )
    for each in (mean, median, p95, shares):
        assert each.within_scatter == each.noisy
    assert f"would reject {validated.rejected_if_scaled(0.85)} if every predicted" in TEXT


def test_the_validation_of_the_release_of_the_faq_is_what_its_rows_say() -> None:
    found = validated.read(release_validation.path_of(FAQ_RELEASE))
    assert found.header.predicted is None, "each was predicted before it was measured"
    results = found.validation.results
    assert {result.repeats for result in results} == {4}
    reached = sum(target.reached is True for target in found.validation.targets)
    assert (
        f"Gunicorn {FAQ_RELEASE} reached {reached} of {len(found.validation.targets)} targets in "
        f"{len(results)} cells:" in TEXT
    )
    measures = {measure.name: measure for measure in found.validation.measures}
    mean = measures["latency_mean"].median
    assert mean is not None
    assert f"its median error is {100 * mean:.1f} % on {FAQ_RELEASE}," in TEXT
    missed = [result.name for result in results if result.misses]
    assert missed
    assert all(name.startswith("gthread, ") and "gthread, 1x" not in name for name in missed)
    shares = [off.error for result in results for off in result.misses if off.name == "share"]
    assert f"`gthread` workers are up to {100 * max(shares):.0f} points off" in TEXT
    assert f"mean is {found.validation.closer:.1f} times closer than an ideal queue's" in TEXT


def test_the_validation_of_worker_classes_is_what_their_rows_say() -> None:
    reached, errors = [], []
    for worker_class in CLASSES:
        found = validated.read(class_validation.path_of(worker_class)).validation
        targets = [target for target in found.targets if target.reached is not None]
        assert len(targets) == 8
        reached.append(sum(target.reached is True for target in targets))
        (mean,) = (each.median for each in found.measures if each.name == "latency_mean")
        assert mean is not None
        errors.append(f"{100 * mean:.1f} %")
    gevent, asgi, uvicorn = reached
    (cells,) = {len(class_cells(each)) for each in CLASSES}
    assert (
        f"In {cells} cells each, `gevent` reached {gevent} of 8 targets, `asgi` {asgi}, "
        f"uvicorn's worker {uvicorn};" in TEXT
    )
    assert (
        f"{errors[0]}, {errors[1]} and {errors[2]} with the first cells of these classes." in TEXT
    )
    others = [sample_validation.read(2, each).reached for each in CLASSES]
    assert [targets for _, targets in others] == [8, 8, 8]
    first, second, third = (reached for reached, _ in others)
    assert f"once the model was mended, {first}, {second} and {third}." in TEXT


@pytest.mark.parametrize(
    ("sentence", "errors", "of", "digits"),
    [
        ("what is repeated are 0.8 %, 1.1 % and 0.5 %", in_sample, "median", 1),
        ("worst ones 7 %, 4 % and 10 %", in_sample, "worst", 0),
        ("their median errors are 2.0 %, 2.7 % and 1.9 %", out_of_sample, "median", 1),
        ("worst ones 6 %, 10 % and 6 %", out_of_sample, "worst", 0),
        ("ideal shared queue is off by 9 %, 11 % and 6 %", out_of_sample, "ideal", 0),
    ],
)
def test_the_errors_are_those_of_the_rows(
    sentence: str, errors: Callable[[str], list[float]], of: str, digits: int
) -> None:
    assert sentence in TEXT
    values = re.findall(r"[\d.]+(?= %)", sentence)
    assert values == [f"{100 * error:.{digits}f}" for error in errors(of)]


def test_the_ideal_queue_is_as_far_off_as_it_says() -> None:
    closer = validated.read().validation.closer
    assert closer is not None
    assert f"workers is {closer:.0f} times closer than an ideal queue's" in TEXT


#: Rows of the first table, and the experiment on 23.0.0 that the last two columns are of.
ROWS_OF_23 = {
    "gthread 2 x 2": "gthread-2x2",
    "gthread 4 x 1": "gthread-4x1",
    "gthread 1 x 4": "gthread-1x4",
    "gthread 2 x 2, `--worker-connections 2`": "gthread-2x2-worker-connections",
    "sync, 4 workers": "sync-4",
}


@pytest.mark.parametrize(("row", "name"), ROWS_OF_23.items(), ids=ROWS_OF_23)
def test_the_older_release_is_as_predicted_and_as_measured(row: str, name: str) -> None:
    (line,) = (line for line in README.splitlines() if line.startswith(f"| {row} |"))
    *_, predicted, measured = line.strip("| ").split(" | ")
    found = evidence(f"{name}@23.0.0")
    means = [summarize([run]).latency for run in found.predicted]
    values = [1000 * latency.mean.value for latency in means if latency is not None]
    for text in re.findall(r"[\d,.]+", predicted):
        # Of predictions that are made again with each cost that is learnt: one of their range.
        assert 0.95 * min(values) <= float(text.replace(",", "")) <= 1.05 * max(values)
    written = float(measured.strip("* ms").replace(",", ""))
    figure = found.comparison.figure("latency_mean")
    assert written == pytest.approx(1000 * (figure.measured or 0), rel=0.005)
