"""``--report``: its file, the command that it names, and the colours of its style sheet.

`tests/site/test_report_page.py` reads the pages, `tests/site/test_report_in_browser.py` looks at
them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cli import main
from sim.command import run_command
from sim.reports import output
from sim.reports.again import command_line, quoted

pytestmark = pytest.mark.usefixtures("compiled_studies")

ROOT = Path(__file__).parents[2]


def test_the_command_has_what_is_read_of_the_environment() -> None:
    environment = {"GUNICORN_CMD_ARGS": "--threads 4", "WEB_CONCURRENCY": "3", "HOME": "/root"}
    line = command_line("sim", ["--route", "/ share=1", "--io", "exp:1"], environment)
    assert line == (
        "GUNICORN_CMD_ARGS='--threads 4' WEB_CONCURRENCY=3 "
        "python -m sim --route '/ share=1' --io exp:1"
    )
    assert command_line("reference_app", ["measure"], {}) == "python -m reference_app measure"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["-e", "KEY=secret", "-w", "2"], "-e KEY=... -w 2"),
        (["--env", "KEY=a=secret"], "--env KEY=..."),
        (["--env=KEY=secret"], "--env=KEY=..."),
        (["-eKEY=secret"], "-eKEY=..."),
        (["--experiment", "e.toml"], "--experiment e.toml"),
    ],
)
def test_the_command_has_no_secret(given: list[str], shown: str) -> None:
    assert command_line("sim", given, {}) == f"python -m sim {shown}"
    environment = {"GUNICORN_CMD_ARGS": " ".join(given)}
    expected = f"GUNICORN_CMD_ARGS={quoted(shown)} python -m sim"
    assert command_line("sim", [], environment) == expected


@pytest.mark.parametrize(
    "word", ["it's", "a b", "\x07\\'x", "two\nlines", "\udcff.log", "$HOME", "用户"], ids=ascii
)
def test_a_shell_reads_the_word_that_was_given(word: str) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    command = [bash, "-c", f"printf %s {quoted(word)}"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=10)
    assert done.stdout == word.encode("utf-8", "surrogateescape")


# --- files ---------------------------------------------------------------------------------------

COMMANDS = {
    "predict": ("--requests", "20"),
    "size": ("size", "--slo", "p99=1s"),
    "sweep": ("sweep", "--over", "workers=1,2"),
    "compare": ("compare", "a.toml", "a.toml"),
    "check": ("check", "--rate", "20"),
    "fit": ("fit", "t.csv"),
    "backtest": ("backtest", "access.log"),
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/report.html", "no/report.html: cannot be written (No such file or directory)"),
        (".", ".: is a directory; expected a file to save to"),
        ("", "--report is ''; expected a file to save to"),
    ],
)
def test_a_path_that_cannot_be_written_is_one_line(
    arguments: tuple[str, ...],
    path: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(lambda: main([*arguments, "--report", path])) == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said == f"error: {message}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_without_the_extra_one_line_says_which(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "find_spec", lambda name: None if name == "jinja2" else name)
    assert run_command(lambda: main([*arguments, "--report", "report.html"])) == 2
    assert capsys.readouterr().err == (
        "error: jinja2 cannot be imported; --report needs the extra 'report': "
        "pip install 'gunicorn-sim[report]'\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--requests", "20", "--save", "./same"),
        ("--requests", "20", "--trace-out", "same"),
        ("sweep", "--over", "workers=1,2", "--chart", "same"),
        ("check", "--sarif", "same"),
        ("size", "--slo", "p99=1s", "--write", "same"),
        ("size", "--slo", "p99=1s", "--resume", "same"),
        ("fit", "t.csv", "--out", "same"),
    ],
    ids=lambda arguments: arguments[-2],
)
def test_the_report_is_no_other_flags_file(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(lambda: main([*arguments, "--report", "same"])) == 2
    assert capsys.readouterr().err == (
        f"error: --report and {arguments[-2]} are both 'same'; expected two different files\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--requests", "20", "--trace-out", "same", "--save", "same"),
        ("sweep", "--over", "workers=1,2", "--chart", "same", "--resume", "same"),
        ("fit", "t.csv", "--chart", "same", "--out", "same"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_two_flags_write_one_file(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(lambda: main(arguments)) == 2
    flags = f"{arguments[-4]} and {arguments[-2]}"
    said = capsys.readouterr().err
    assert said == f"error: {flags} are both 'same'; expected two different files\n"
    assert list(tmp_path.iterdir()) == []


def stop(*_: object) -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "place", "instead"),
    [
        (("--requests", "20"), "sim.study.neighbours.neighbours", stop),
        (("--requests", "20"), "sim.reports.html.render.html", stop),
        (("sweep", "--over", "workers=1,2"), "sim.study.cli.carry_out", lambda *_: ({}, True)),
    ],
    ids=["its neighbours", "the page", "a study"],
)
def test_ctrl_c_leaves_the_answer_and_no_page(
    arguments: tuple[str, ...],
    place: str,
    instead: Callable[..., object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, instead)
    assert run_command(lambda: main([*arguments, "--report", "report.html"])) == 130
    printed, said = capsys.readouterr()
    assert "Gunicorn 27.0" in printed
    assert said == ""
    assert list(tmp_path.iterdir()) == []


# --- the look ------------------------------------------------------------------------------------


def colours(css: str, begin: str) -> dict[str, str]:
    """The colours of charts in the block of a style sheet that begins so."""
    block = css[css.index(begin) :].partition("}")[0]
    return dict(re.findall(r"(--chart-[\w-]+): (#\w+);", block))


def test_the_colours_are_the_sites() -> None:
    site = (ROOT / "site_docs/pages/assets/site.css").read_text(encoding="utf-8")
    ours = (ROOT / "sim/reports/html/report.css").read_text(encoding="utf-8")
    light, dark = ours.split("@media screen and (prefers-color-scheme: dark)")
    assert colours(light, ":root") == colours(site, '[data-md-color-scheme="default"] {')
    assert colours(dark, ":root") == colours(site, '[data-md-color-scheme="slate"] {')
    for name in ("--md-text-font", "--md-code-font"):
        (font,) = re.findall(rf"{name}: ([^;]+);", site)
        assert font in ours
    assert "--head: #1f3b4d;" in light
    assert "--md-primary-fg-color: #1f3b4d;" in site
