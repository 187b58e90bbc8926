"""The table of errors: its rows on disk, what they come to, and one small cell for real."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from rich.console import Console

from reference_app.cli import main
from reference_app.validate import header_of, predict_again, run_cells
from reference_app.validation_report import print_validation
from sim.cli import predictions
from sim.costs import Costs
from sim.distribution import Distribution
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment_file import to_dict
from sim.run import load
from sim.validation import Validation, validation
from sim.validation_grid import sample
from sim.validation_rows import Header, Row, append, read, resume, write

HOST = Host()
HEADER = header_of(HOST, Costs(), 3, 2)


def schema() -> dict[str, Any]:
    text = files("sim").joinpath("schema", "validation.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def values(latency: float, share: float = 0.5) -> dict[str, float | None]:
    """What a run of two workers may have, in which all latencies are the same."""
    times = {f"latency_{name}": latency for name in ("mean", "p50", "p95", "p99")}
    return {
        **times,
        "wait_mean": None,
        "throughput": 50.0,
        "share_worker_1": share,
        "share_worker_2": 1 - share,
    }


def row(
    number: int,
    predicted: float,
    measured: Sequence[float],
    *,
    ideal: float = 0.5,
    shares: Sequence[float] = (0.5, 0.5),
    others: float = 0.0,
) -> Row:
    """A cell whose latencies and first worker's shares (predicted, measured) are these."""
    server = Server(workers=2, worker_class="gthread")
    return Row(
        cell=number,
        name=f"the {number}th",
        measured="2026-11-24T08:00:00+00:00",
        experiment=to_dict(Experiment(server)),
        repeats=[values(each, shares[1]) for each in measured],
        outcomes=[{"ok": 100} for _ in measured],
        others=[0.0, others],
        variants=[values(predicted, shares[0])] * 2,
        ideal={name: ideal for name in values(0.0) if not name.startswith("share")},
    )


def missed(result: Validation) -> list[str]:
    return [target.words for target in result.targets if target.reached is False]


def printed(rows: Sequence[Row]) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        print_validation(console, HEADER, validation(rows), 64)
    return capture.get()


def test_a_good_model_reaches_every_target() -> None:
    rows = [row(1, 1.04, [1.0, 1.0, 1.0]), row(2, 0.98, [1.0, 1.02, 0.98])]
    result = validation(rows)
    assert result.reached
    assert all(target.reached for target in result.targets if "spread" not in target.words)
    (mean, *_) = result.measures
    assert (mean.name, mean.repeated, mean.noisy) == ("latency_mean", 2, 0)
    assert mean.median == pytest.approx(0.03)
    assert mean.worst == pytest.approx(0.04)
    assert mean.worst_cell == 1
    assert mean.ideal == pytest.approx(0.5)
    assert result.closer == pytest.approx(0.5 / 0.03)
    assert "all 8 targets that the cells tell about are reached" in printed(rows)


def test_a_bad_cell_is_told_and_its_targets_are_missed() -> None:
    rows = [row(1, 1.0, [1.0] * 3), row(2, 1.01, [1.0] * 3), row(7, 1.2, [1.0] * 3)]
    result = validation(rows)
    # The median is good.
    assert missed(result) == [f"worst error of {name} <= 15%" for name in ("mean", "p50", "p95")]
    assert [each.cell for each in result.results if each.misses] == [7]
    text = printed(rows)
    assert "Validation: 3 of 8 targets are missed." in text
    assert "cell 7, the 7th: mean off by 20%, spread 0%; p50 off by 20%" in text


def test_a_noisy_cell_is_named_and_judged_by_its_own_spread() -> None:
    within = row(3, 1.12, [0.9, 1.0, 1.1, 1.2])
    result = validation([within])
    assert [each.name for each in result.results if each.noisy] == ["the 3th"]
    assert not missed(validation([within, row(1, 1.0, [1.0] * 3)]))
    beyond = validation([row(3, 1.4, [0.9, 1.0, 1.1])])
    assert missed(beyond)[0] == "what the server does not repeat is within its spread"
    assert "cell 3, the 3th: 29%" in printed([within])


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.54, 0.5), []),
        ((0.56, 0.5), ["worst error of a share <= 0.05"]),
    ],
)
def test_a_share_may_be_off_by_a_twentieth(shares: Sequence[float], words: list[str]) -> None:
    assert missed(validation([row(1, 1.0, [1.0] * 3, shares=shares)])) == words


def test_the_shares_of_a_cell_are_judged_together() -> None:
    # The second worker's share is as noisy as the first's, and both are off by as much.
    noisy = row(1, 1.0, [1.0] * 2, shares=(0.62, 0.5))
    noisy.repeats[1].update(share_worker_1=0.6, share_worker_2=0.4)
    (result,) = validation([noisy]).results
    assert result.share is not None
    assert (result.share.error, result.share.spread) == pytest.approx((0.07, 0.1))
    assert not result.misses
    assert validation([noisy]).measures[-1].within_spread == 1


@pytest.mark.parametrize(("others", "told"), [(0.09, False), (0.31, True)])
def test_a_cell_beside_which_something_else_ran_is_named(others: float, told: bool) -> None:
    text = printed([row(1, 1.0, [1.0] * 3, others=others)])
    assert ("cell 1, the 1th: 0.31 cores" in text) == told


def test_without_a_cell_nothing_is_claimed() -> None:
    result = validation([])
    assert [target.reached for target in result.targets] == [None] * len(result.targets)
    assert "no cell is measured yet" in printed([])


def test_the_rows_are_as_their_schema_says(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert resume(path, HEADER) == []
    rows = [row(1, 1.0, [1.0] * 3), row(5, 1.0, [1.0] * 3)]
    for each in rows:
        append(path, each)
    assert read(path) == (HEADER, rows)
    validator = jsonschema.Draft202012Validator(schema())
    for line in path.read_text(encoding="utf-8").splitlines():
        validator.validate(json.loads(line))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**json.loads(line), "verdict": "good"})


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [row(1, 1.0, [1.0] * 3), row(2, 1.0, [1.0] * 3)]
    write(path, HEADER, rows)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(path) == (HEADER, rows[:1])
    assert resume(path, HEADER) == rows[:1]
    append(path, rows[1])
    assert read(path) == (HEADER, rows)


def test_a_header_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"schema": "gunic', encoding="utf-8")
    assert resume(path, HEADER) == []
    assert read(path) == (HEADER, [])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(HEADER, repeats=5), "its repeats is 5, not 3"),
        (replace(HEADER, machine={**HEADER.machine, "cores": 64}), "its machine is cores 64, not"),
        (replace(HEADER, versions={**HEADER.versions, "gunicorn": "1"}), "is gunicorn '1', not"),
    ],
)
def test_rows_of_another_kind_are_not_mixed(tmp_path: Path, other: Header, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, other, [row(1, 1.0, [1.0] * 3)])
    before = path.read_bytes()
    with pytest.raises(ExperimentError, match=message):
        resume(path, HEADER)
    assert path.read_bytes() == before
    assert resume(path, replace(other, begun="another day")) != []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no whole line"),
        (b"{}\n", "line 1 is not of a"),
        (b'{"schema": "gunicorn-run/1"}\n', "schema is 'gunicorn-run/1'"),
        (b"\xff\n", "line 1 is not of a"),
    ],
)
def test_what_is_no_validation_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ExperimentError, match=message):
        read(path)


def small(number: int) -> Experiment:
    """Not a cell of the grid, which would take ten times as long."""
    server = Server(workers=2, threads=2, preload_app=True)
    traffic = Traffic(rate=200.0, requests=60, io=Distribution("const", (0.003,)))
    return Experiment(server, traffic=traffic, seed=number, replications=1)


def test_cells_are_measured_once_and_predicted_as_often_as_asked(tmp_path: Path) -> None:
    path, told = tmp_path / "rows.jsonl", io.StringIO()
    header = header_of(HOST, Costs(), 2, 3)
    run_cells(path, header, [3], small, predictions, tmp_path, told)
    _, (measured,) = read(path)
    assert measured.name == sample()[2].name
    assert (len(measured.repeats), len(measured.variants)) == (2, 3)
    assert all(outcomes["ok"] == 60 for outcomes in measured.outcomes)
    for each in (*measured.repeats, *measured.variants):
        assert each["share_worker_1"] is not None
        mean = each["latency_mean"]
        # A loose bound, for any machine.
        assert mean is not None
        assert 0.003 < mean < 0.1
    assert measured.ideal["latency_mean"] == pytest.approx(0.003, rel=0.2)
    assert f"cell 3 (1 of 1), {measured.name}: mean " in told.getvalue()
    # Every figure can be computed anew from the requests themselves.
    runs = load(tmp_path / "cell-03.run")
    latencies = [request.latency for request in runs[1].requests]
    assert measured.repeats[1]["latency_mean"] == pytest.approx(sum(latencies) / 60)

    # The machine may be busy with anything.
    assert all(0 <= others <= psutil.cpu_count() for others in measured.others)

    run_cells(path, header, [3], small, predictions, None, told)
    assert read(path)[1] == [measured]
    run_cells(path, replace(header, begun="later"), [3], small, predictions, None, told, again=True)
    begun, (after,) = read(path)
    assert begun == header
    assert after.repeats != measured.repeats


def test_rows_are_predicted_anew_without_being_measured(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    before = row(52, 1.0, [1.0] * 3)
    write(path, HEADER, [before])
    costs = replace(Costs(), timer_slack=0.5)
    predict_again(path, costs, 4, predictions)
    header, (after,) = read(path)
    assert (after.repeats, after.ideal) == (before.repeats, before.ideal)
    assert len(after.variants) == header.variants == 4
    assert header.costs["timer_slack"] == 0.5


def test_the_exit_status_tells_of_a_missed_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    arguments = ["validate", str(path), "--cells", "2", "--variants", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reference_app.cli.SOMAXCONN", tmp_path / "none")
        patch.setattr("os.sched_getaffinity", lambda _: {0, 1})
        write(path, HEADER, [row(2, 1.01, [1.0] * 3)])
        main(arguments)
        assert "are reached" in capsys.readouterr().out
        write(path, HEADER, [row(2, 2.0, [1.0] * 3)])
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 1
        assert "targets are missed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "validate is given no file; expected ROWS.jsonl, or --list"),
        ("rows --repeat 1", "--repeat is 1; expected 2 or more"),
        ("rows --cells 0", "--cells has '0'; expected numbers from 1 to 64"),
        ("rows --cells 3-1", "--cells has '3-1'; expected"),
        ("rows --cells 1,", "--cells has ''; expected"),
        ("rows --cells 1,²", "--cells has '²'; expected"),
        ("rows --save nowhere", "--save is 'nowhere'; expected a directory"),
        ("rows --costs nothing.toml", "nothing.toml: cannot be read"),
        ("rows --predict-again --cells 1", "--predict-again measures nothing; expected no"),
        ("no/rows", "no/rows: cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentError) as refused:
        main(["validate", *arguments.split()])
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_cells_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["validate", "--list", "--cells", "2,64"])
    lines = capsys.readouterr().out.splitlines()
    cells = sample()
    assert [line.split(":")[0] for line in lines] == [
        f" 2  {cells[1].name}",
        f"64  {cells[63].name}",
    ]
