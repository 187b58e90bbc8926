"""``--report``: what a page says is what ``--json`` says, whatever names routes have.

Goal: a report that is wrong, that runs what a name contains, or that is left half-written, fails
here. Method: commands are run in this process, and their page is read by an HTML parser.
`tests/site/test_report_in_browser.py` looks at the same pages with a browser.
"""

from __future__ import annotations

import errno
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from logged_past import GUNICORN, NGINX, requests_of, served, write_logs

from reference_app.commands.comparison_page import comparison_page
from sim.analysis.summary import summarize
from sim.cli import main
from sim.command import run_command
from sim.experiment import Experiment, Proxy, Server, Traffic
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.reports.document import document as summary_document
from sim.reports.html import render
from sim.reports.html.page import (
    Card,
    Code,
    Curves,
    Figure,
    Key,
    Lane,
    Lanes,
    Number,
    Page,
    Rows,
    Section,
    Series,
    Table,
)
from sim.reports.html.portrait import portrait_of
from sim.reports.html.summary_page import summary_page
from sim.validation.comparison import compare, ideal_run
from sim.validation.comparison import document as comparison_document

pytestmark = pytest.mark.usefixtures("compiled_studies")

ROOT = Path(__file__).parents[2]

#: Names that a page must show and not run, in text, in attributes and in charts.
NAMES = ("/<script>alert(1)</script>", "/a$b$c", "/用户", '/"quoted"&amp;', "/\x07\udcffbell")

SMALL = ("--duration", "5", "--replications", "2", "--rate", "30", "-w", "2", "--threads", "2")


class Read(HTMLParser):
    """A page as a program reads it.

    Attributes:
        tags: of all elements, with their attributes.
        numbers: what `data` elements say exactly.
        text: all of it, in one line.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.numbers: list[float] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag == "data":
            self.numbers.append(float(values["value"]))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.pieces.append(data)


def numbers_of(value: Any) -> Iterator[float]:  # noqa: ANN401 - any JSON
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers_of(each)


#: What a command line brings: its document, its page, and the page's text.
Command = Callable[..., tuple[dict[str, Any], Read, str]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with ``--json`` and ``--report``."""

    def run(*arguments: str) -> tuple[dict[str, Any], Read, str]:
        path = tmp_path / "report.html"
        main([*arguments, "--json", "--report", str(path)])
        html = path.read_text(encoding="utf-8")
        return json.loads(capsys.readouterr().out), Read(html), html

    return run


def test_every_number_of_a_prediction_is_the_documents(command: Command) -> None:
    document, page, _ = command(
        *SMALL,
        *("--disturb", "2 signal KILL worker 1", "--client-timeout", "1"),
        *("--route", "/slow share=.1 io=exp:.2", "--route", "/ share=.9 io=exp:.02"),
    )
    assert len(page.numbers) > 80
    assert set(page.numbers) <= set(numbers_of(document))
    for measure in ("mean", "p50", "p90", "p95", "p99", "max"):
        for times in ("latency_s", "wait_s", "ideal"):
            assert document[times][measure] in page.numbers
        for end in document["confidence"]["latency_s"][measure].values():
            assert end in page.numbers
    for worker in document["workers"]:
        assert {worker["requests"], worker["share"], worker["utilization"]} <= set(page.numbers)
    for queue in document["queues"]:
        assert {queue["time_average"], float(queue["largest"])} <= set(page.numbers)
    for row in document["recovery"]:
        assert row["what"] in page.text
        assert {row["at_s"], row["lost"], row["delayed"]} <= set(page.numbers)
    for route in document["routes"]:
        assert route["latency_s"]["p99"] in page.numbers
    for notice in document["notices"]:
        assert notice in page.text


def test_a_prediction_says_what_would_help(command: Command) -> None:
    document, page, _ = command(*("--duration", "5", "--rate", "50", "-w", "2", "--threads", "2"))
    assert "What would help, and by how much" in page.text
    assert "the first 5 replications" in page.text
    for setting in ("threads = 3", "workers = 1, threads = 4", "worker_connections = 2"):
        assert page.text.count(setting) > 2
    assert "lowers the mean latency most: from " in page.text
    # The document says the same, with the same numbers.
    schema = files("sim.reports").joinpath("schema", "summary.schema.json").read_text("utf-8")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(document)
    told = document["neighbours"]
    assert told["replications"] == 5
    assert len(told["changes"]) == 4
    for change in told["changes"]:
        assert change["setting"] in page.text
        for row in change["measures"]:
            assert {row["a"]["value"], row["b"]["value"]} <= set(page.numbers)
            if row["measure"] != "lost":
                assert set(row["difference"].values()) <= set(page.numbers)


def test_a_document_without_a_page_predicts_no_neighbours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main([*SMALL, "--json"])
    assert "neighbours" not in json.loads(capsys.readouterr().out)


STUDIES = {
    "compare": ("compare", "a.py", "b.py", "--rate", "30"),
    "sweep": ("sweep", "--over", "workers=1,2", "--over", "threads=2,4", "--rate", "30"),
    "a rate": ("sweep", "--over", "rate=20..40..10", "--measure", "mean"),
    "a class": ("sweep", "--over", "worker_class=sync,gthread", "--measure", "busy"),
    "size": ("size", "--slo", "p95=300ms", "--over", "workers=1", "--over", "threads=2..6..2"),
    "nothing meets": ("size", "--slo", "p95=170ms", "-w", "1", "--threads", "1", "--rate", "10"),
}

SHORT = ("--duration", "4", "--replications", "3", "--jobs", "1")


@pytest.mark.parametrize("arguments", STUDIES.values(), ids=STUDIES)
def test_every_number_of_a_study_is_the_documents(
    arguments: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("workers = 2\nthreads = 2\n", encoding="utf-8")
    Path("b.py").write_text("workers = 1\nthreads = 4\n", encoding="utf-8")
    document, page, _ = command(*arguments, *SHORT)
    known = set(numbers_of(document))
    assert len(page.numbers) >= 4
    # The first replication, which is predicted again, has sections of its own, without numbers
    # that claim to be the document's.
    assert set(page.numbers) <= known
    assert "Make it again" in page.text
    if document["schema"] == "gunicorn-size/1":
        assert ("The answer:" in page.text) == (document["answer"] is not None)
        assert ("What would help" in page.text) == bool(document["what_ifs"])


def test_every_number_of_a_fit_is_the_documents(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{n / 20},{0.02 + n % 7 / 100},{n % 3 / 1000},{NAMES[n % 4]}" for n in range(200)]
    text = "\n".join(["arrival_s,io_s,cpu_s,route", *lines]) + "\n"
    Path("t.csv").write_text(text.replace('/"quoted"&amp;', "/quoted"), encoding="utf-8")
    document, page, _ = command("fit", "t.csv")
    assert set(page.numbers) <= set(numbers_of(document))
    for route in document["routes"]:
        assert route["io"]["distribution"] in page.text
        assert route["name"] in page.text


def test_every_number_of_a_check_is_the_documents(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gunicorn.conf.py").write_text("workers = 2\nreuse_port = True\n", encoding="utf-8")
    flags = ("--rate", "30", "--duration", "4", "--fail-on", "never")
    document, page, _ = command("check", *flags, "--replications", "3", "--jobs", "1")
    assert document["findings"]
    assert len(page.numbers) >= 10
    assert set(page.numbers) <= set(numbers_of(document))
    for finding in document["findings"]:
        for sentence in (finding["what"], finding["effect"], finding["set"]):
            assert " ".join(sentence.split()) in page.text
        for measure in finding["measures"]:
            for side in ("now", "mended", "difference"):
                if measure[side] is not None:
                    assert measure[side]["value"] in page.numbers


def test_every_number_of_a_backtest_is_the_documents(command: Command, tmp_path: Path) -> None:
    server = Server(workers=3, worker_class="sync")
    write_logs(tmp_path, served(requests_of(600, 40.0), server, Proxy("nginx")))
    document, page, _ = command(
        *("backtest", "--access-log", str(tmp_path / "gunicorn.log"), "--log-format", GUNICORN),
        *("--against", str(tmp_path / "nginx.log"), "--against-format", NGINX),
        *("--workers", "3", "--replications", "2", "--jobs", "1"),
    )
    assert len(page.numbers) > 60
    assert set(page.numbers) <= set(numbers_of(document))
    for figure in document["figures"]:
        assert {figure["logged"], figure["predicted"], figure["error"]} <= {*page.numbers, None}
    for sentence in document["advice"]:
        assert sentence in page.text


def test_every_number_of_a_measurement_beside_a_prediction_is_the_documents() -> None:
    # What a rig measures is another run of the same shape.
    experiment = Experiment(
        Server(workers=2, threads=2, worker_class="gthread"),
        traffic=Traffic(rate=40.0, duration=4.0),
        disturbances=(Signal(at=2.0, signal="KILL", to="worker", worker=1),),
        replications=1,
    )
    runs = [predict(experiment, 0, variant) for variant in range(6)]
    variants = [[run] for run in runs[:4]]
    repeats = [[replace(run, source="reference_app")] for run in runs[4:]]
    comparison = compare(
        [summarize(each) for each in variants],
        [summarize(each) for each in repeats],
        summarize([ideal_run(repeats[0][0])]),
    )
    sides = {"predicted": variants[0], "measured": repeats[0]}
    page = Read(render.html(comparison_page(comparison, sides, ("Noted.",), "the command")))
    known = set(numbers_of(comparison_document(comparison, ())))
    assert len(page.numbers) > 60
    assert set(page.numbers) <= known
    assert {"Noted.", "the command", "Measured."} <= set(map(str.strip, page.pieces))

    one = summarize(repeats[0])
    html = render.html(summary_page(one, portrait_of(repeats[0]), (), "the command"))
    assert "Measured on Gunicorn" in html
    assert set(Read(html).numbers) <= set(numbers_of(summary_document(one)))


def hostile(name: str) -> Page:
    """A page that has ``name`` wherever a name can be."""
    key = Key("bar", "predicted", name)
    series = Series(key, (1.0, 2.0), (0.0, 1.0))
    table = Table(name, (name, name), ((name, Number(1.5, name)), (name, (name, name))))
    drawings: dict[str, Curves | Rows | Lanes] = {
        "rows": Rows((name, name), (series,), name, (1.0, name)),
        "curves": Curves((series,), name, name, ticks=((1.0, name),)),
        "lanes": Lanes((0.0, 1.0, 2.0), (Lane(name, (1.0, 0.0), (0.0, 1.0)),)),
    }
    figures = tuple(
        Figure(kind, name, name, (key,), drawing, table) for kind, drawing in drawings.items()
    )
    section = Section("names", name, (name, (name,), table, Code(name), *figures))
    return Page(
        name, (name,), name, name, (Card(name, Number(None, name), name),), (section,), (name,)
    )


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_text_wherever_it_stands(name: str) -> None:
    html = render.html(hostile(name))
    page = Read(html)
    assert {"script", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not [key for _, values in page.tags for key in values if key.startswith("on")]
    shown = re.sub("[\x07\udcff]", "\N{REPLACEMENT CHARACTER}", name)
    assert html.encode("utf-8")
    # Text, charts wide and narrow, and the words for a screen reader.
    assert page.text.count(shown) > 40
    captions = [values["aria-label"] for _, values in page.tags if "aria-label" in values]
    assert captions
    assert set(captions) == {shown}


def test_a_page_loads_nothing() -> None:
    html = render.html(hostile("x"))
    page = Read(html)
    policies = [
        values["content"]
        for tag, values in page.tags
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    ]
    for _, values in page.tags:
        for key in ("src", "href", "xlink:href", "action"):
            assert values.get(key, "#").startswith(("#", "data:"))
    assert not re.findall(r"@import|url\((?!#)", html)


def test_the_command_makes_the_page_again(command: Command) -> None:
    arguments = (*SMALL, "--disturb", "1 signal KILL worker 1")
    _, page, html = command(*arguments)
    assert "'1 signal KILL worker 1'" in page.text
    (line,) = (line for line in page.pieces if line.startswith("python -m sim "))
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "sim"]
    main(words[3:])
    assert Path(words[-1]).read_text(encoding="utf-8") == html


def test_of_requests_that_were_not_kept_there_is_a_page(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.cli.LONG", 100)
    _, page, _ = command(*SMALL)
    assert "How long requests take" in page.text
    assert "slice by slice" not in page.text


def test_where_nothing_is_answered_there_is_a_page(command: Command) -> None:
    document, page, _ = command(
        *("--requests", "20", "--rate", "20", "--replications", "2", "--client-timeout", "0.01"),
        *("--io", "const:1", "-w", "1"),
    )
    assert document["outcomes"]["ok"] == 0
    assert "no request is answered" in page.text


def test_an_event_loop_has_no_capacity_of_a_thousand(command: Command) -> None:
    _, page, _ = command(*SMALL[:6], "-k", "gevent")
    assert "busy connections" in page.text
    assert "connections that can serve" not in page.text


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    path.write_text("before", encoding="utf-8")
    opened = Path.open

    def full(self: Path, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as `Path.open`
        file = opened(self, *args, **keywords)
        if self.name.startswith("report.html"):

            def write(_: str) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(file, "write", write)
        return file

    monkeypatch.setattr(Path, "open", full)
    assert run_command(lambda: main([*SMALL, "--report", str(path)])) == 2
    said = capsys.readouterr().err
    assert said == f"error: {path}: cannot be written (No space left on device)\n"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == "before"
