"""``--help`` fits a screen, and ``--help-all`` has every flag."""

from __future__ import annotations

import argparse

import pytest

from reference_app import cli as rig
from sim import cli as sim
from sim.reading.arguments import COMMON
from sim.reading.flags import FLAGS
from sim.reading.one_line_parser import OneLineParser
from sim.study import cli as study


def commands_of(parser: argparse.ArgumentParser) -> dict[str, OneLineParser]:
    """The parsers of a parser's commands."""
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(commands.choices)


#: Every command that takes an experiment.
PARSERS = {
    "sim": sim._parser(),
    **{f"sim {name}": parser for name, parser in commands_of(study._parser()).items()},
    **{
        f"reference_app {name}": parser
        for name, parser in commands_of(rig._parser()).items()
        if name in ("measure", "compare")
    },
}


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OneLineParser:
    """Each of them, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return PARSERS[request.param]


def test_the_help_fits_a_screen(parser: OneLineParser) -> None:
    lines = parser.format_help().splitlines()
    assert 20 <= len(lines) <= 40
    assert max(map(len, lines)) < 80
    assert lines[0] == f"usage: {parser.prog} " + lines[0].partition(f"{parser.prog} ")[2]
    assert lines[-1] == f"All flags: {parser.prog} --help-all"


def test_the_help_of_a_prediction_is_its_commands_and_a_dozen_flags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = PARSERS["sim"].format_help().splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  --")] == [*COMMON]
    assert len(COMMON) == 12
    assert len(lines) <= 32


def test_the_help_has_the_flags_that_most_people_need(parser: OneLineParser) -> None:
    known = {name for action in parser._actions for name in action.option_strings}
    shown = parser.format_help()
    for name, about in COMMON.items():
        if name in known:
            line = next(line for line in shown.splitlines() if line.startswith(f"  {name} "))
            assert about in line


def test_help_all_has_every_flag(parser: OneLineParser) -> None:
    shown = parser.format_help_all()
    flags = {
        name
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
        for name in action.option_strings
    }
    assert {flag.name for flag in FLAGS} <= flags
    assert {"--config", "--trace", "--backlog", "--max-requests", "--json"} <= flags
    words = set(shown.replace(",", " ").split())
    assert not flags - words
    for group in ("files:", "traffic, host and LaunchDarkly:", "server:"):
        assert f"\n{group}\n" in shown


def test_the_commands_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for shown in (sim._parser().format_help(), sim._parser().format_help_all()):
        places = [shown.index(f"\n  {command} ") for command in sim.COMMANDS]
        assert places == sorted(places)
        assert places[-1] < shown.index("\n  --")


def test_help_all_ends_the_process_with_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help-all"], ["predict", "--help-all"], ["size", "--help-all"]):
        with pytest.raises(SystemExit) as stop:
            sim.main(arguments)
        assert stop.value.code == 0
        assert "--somaxconn" in capsys.readouterr().out


def test_predict_is_what_no_command_is(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--requests", "20", "--replications", "1", "--json"]
    sim.main(flags)
    printed = capsys.readouterr().out
    sim.main(["predict", *flags])
    assert capsys.readouterr().out == printed
