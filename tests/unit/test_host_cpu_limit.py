"""A CPU limit from end to end: what is refused, what is said, and what a file keeps."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim.analysis.binding import binding
from sim.analysis.summary import Summary, summarize
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.document import to_dict
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict
from sim.reading.idle_settings import idle_settings
from sim.reports.document import document
from sim.reports.html.portrait import portrait_of
from sim.reports.html.summary_page import summary_page
from sim.reports.report import print_report
from sim.reports.throttling_text import throttling_sentence
from sim.run import CpuStat, load, save
from sim.validation.comparison import figures_of, values_of


def computing(limit: float | None, *, workers: int = 2, rate: float = 10.0) -> Experiment:
    traffic = Traffic(rate=rate, requests=60, cpu=Distribution("const", (0.04,)))
    return Experiment(Server(workers=workers), Host(cpu_limit=limit), traffic, replications=1)


def summary(experiment: Experiment) -> Summary:
    return summarize([predict(experiment)])


def report(of: Summary) -> str:
    pipe = io.StringIO()
    print_report(Console(file=pipe, width=80), of)
    return " ".join(pipe.getvalue().split())


@pytest.mark.parametrize("limit", [0.0, -0.5, 0.009, math.nan, math.inf])
def test_a_limit_that_the_kernel_refuses_is_refused(limit: float) -> None:
    with pytest.raises(ExperimentError, match=r"cpu_limit is .*; expected a finite number >= 0.01"):
        Host(cpu_limit=limit)


@pytest.mark.parametrize(
    ("limit", "burst", "message"),
    [
        (None, 0.01, "cpu_burst is 0.01; expected a cpu_limit that it is beyond"),
        (0.5, -0.01, "cpu_burst is -0.01; expected a finite number >= 0"),
        (0.5, math.nan, "cpu_burst is nan; expected a finite number >= 0"),
        (0.5, 0.06, "cpu_burst is 0.06; expected at most the quota"),
    ],
)
def test_a_burst_that_the_kernel_refuses_is_refused(
    limit: float | None, burst: float, message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        Host(cpu_limit=limit, cpu_burst=burst)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "half"])
def test_the_command_line_refuses_it_in_one_line(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sim", f"--cpu-limit={text}"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "cpu" in done.stderr


def test_a_document_without_a_limit_does_not_speak_of_it() -> None:
    assert not [key for key in to_dict(Experiment())["host"] if key.startswith("cpu_")]
    limited = Experiment(host=Host(cpu_limit=0.5, cpu_burst=0.02))
    assert from_dict(to_dict(limited), "here") == limited


def test_a_file_keeps_what_the_limit_did(tmp_path: Path) -> None:
    path = tmp_path / "limited.jsonl"
    limited, free = predict(computing(0.5)), predict(computing(None))
    save([limited, free], path)
    loaded = load(path)
    assert limited.cpu_stat is not None
    assert limited.cpu_stat.nr_throttled > 10
    assert loaded[0].cpu_stat == limited.cpu_stat
    assert loaded[1].cpu_stat is None
    headers = [line for line in path.read_text().splitlines() if "schema" in line]
    assert "cpu_stat" in headers[0]
    assert "cpu_stat" not in headers[1]


def test_a_bad_cpu_stat_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "limited.jsonl"
    save([predict(computing(0.5))], path)
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    header["cpu_stat"] = {"nr_periods": 3, "periods": 4}
    path.write_text("\n".join([json.dumps(header), *lines[1:]]))
    with pytest.raises(ExperimentError, match="line 1 is not of a gunicorn-run/1 file"):
        load(path)


def test_the_sentence_says_that_the_limit_binds_and_not_threads() -> None:
    found = binding(summary(computing(0.5)))
    assert found.startswith("The CPU limit binds, not threads: the server may use 0.5 cores and ")
    assert "throttled in" in found
    assert not binding(summary(computing(None))).startswith("The CPU limit")
    assert not binding(summary(computing(2.0))).startswith("The CPU limit")


def test_the_report_says_so_too_and_names_the_limit_and_what_it_did() -> None:
    run = predict(computing(0.5))
    limited = summarize([run])
    assert limited.throttling is not None
    text = report(limited)
    assert "; 2 cores, CPU limit 0.5; 1 replication" in text
    assert f"{throttling_sentence(limited.throttling)} The limit binds, not threads." in text
    page = summary_page(limited, portrait_of([run]), (), "python -m sim")
    assert throttling_sentence(limited.throttling) in page.answer
    for other in (computing(2.0), computing(None), computing(0.25)):
        assert "The limit binds" not in report(summary(other))


def test_requests_that_compute_for_more_than_the_limit_overload_it() -> None:
    reasons = summary(computing(0.25)).load.reasons
    assert len(reasons) == 1
    assert reasons[0].startswith("The requests would compute for 0.")
    assert "but the CPU limit is 0.25, so the queue grows" in reasons[0]
    assert not summary(computing(None)).load.reasons


def test_the_report_says_how_often_it_was_throttled() -> None:
    throttling = summary(computing(0.5)).throttling
    assert throttling is not None
    text = throttling_sentence(throttling)
    assert text.startswith("CPU limit: 0.5 of 2 cores, 0.")
    assert f"throttled in {throttling.throttled.value:.0f} of " in text
    free = summary(computing(2.0)).throttling
    assert free is not None
    assert "never throttled in" in throttling_sentence(free)
    assert throttling_sentence(replace(free, cores=1, used=None)).startswith(
        "CPU limit: 2 of 1 core; never"
    )
    assert summary(computing(None)).throttling is None


def test_the_document_has_what_the_limit_did() -> None:
    found = document(summary(computing(0.5)))["throttling"]
    assert found["cpu_limit"] == 0.5
    assert 0 < found["throttled"] <= found["periods"]
    assert found["share"] == found["throttled"] / found["periods"]
    assert 0.2 < found["used"] <= 0.55
    assert document(summary(computing(None)))["throttling"] is None


def test_replications_that_do_not_all_say_have_no_throttling() -> None:
    run = predict(computing(0.5))
    assert summarize([run, replace(run, cpu_stat=None)]).throttling is None
    unseen = summarize([replace(run, cpu_stat=CpuStat(10, 5, 0.4))]).throttling
    assert unseen is not None
    assert unseen.used is None


@pytest.mark.parametrize(
    ("host", "workers", "words"),
    [
        (Host(cores=2, cpu_limit=3.0), 2, "cpu_limit = 3 does nothing: the host's cores are 2"),
        (Host(cores=2, cpu_limit=2.0), 2, "cpu_limit = 2 does nothing"),
        (Host(cores=64, cpu_limit=0.5), 129, "workers = 129 is 2 x cores + 1 of the host's 64"),
        (Host(cores=64, cpu_limit=0.5), 2, None),
        (Host(cores=2, cpu_limit=1.5), 5, "workers = 5 is 2 x cores + 1 of the host's 2 cores"),
        (Host(cores=2), 5, None),
    ],
)
def test_a_limit_that_does_nothing_and_workers_for_all_cores_are_named(
    host: Host, workers: int, words: str | None
) -> None:
    experiment = Experiment(Server(workers=workers), host)
    notices = idle_settings(
        experiment, {"host": {"cpu_limit": host.cpu_limit}, "server": {"workers": workers}}
    )
    found = [idle.text for idle in notices if "cpu_limit" in idle.text]
    assert len(found) == (words is not None), notices
    assert not words or found[0].startswith(words)


def test_a_comparison_has_the_throttled_part_of_the_periods_of_both_sides() -> None:
    values = values_of(summary(computing(0.5)), ())
    assert 0.05 < (values["throttled"] or 0.0) <= 1
    assert "throttled" not in values_of(summary(computing(None)), ())
    figure = {one.name: one for one in figures_of([values], [values], {})}["throttled"]
    assert figure.unit == "ratio"
    assert figure.error == 0
