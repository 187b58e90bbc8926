"""Settings by release: what a release does not know is named, and what it does about it."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import pytest

from sim.experiment.release import KNOWN
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.command_args import CMD_ARGS
from sim.reading.gunicorn_config import known_settings
from sim.reading.one_line_parser import OneLineParser
from sim.reading.release_settings import SINCE, UNTIL, knows


def notices(*flags: str) -> tuple[str, ...]:
    parser = OneLineParser()
    add_experiment_arguments(parser)
    args: argparse.Namespace = parser.parse_args(flags)
    return experiment_from(args)[1]


def test_the_table_is_that_of_the_installed_release() -> None:
    here = version("gunicorn")
    assert {name for name in SINCE if knows(here, name)} == SINCE.keys() & known_settings().keys()


@pytest.mark.parametrize("name", SINCE)
def test_a_setting_is_known_from_one_release_on(name: str) -> None:
    known = [number for number in KNOWN if knows(number, name)]
    assert known[0] == SINCE[name] != KNOWN[0]
    end = KNOWN.index(UNTIL[name]) if name in UNTIL else len(KNOWN)
    assert known == list(KNOWN[KNOWN.index(SINCE[name]) : end])


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("20.1.0", "does not know: http_parser (25.2.0 and later), tolerate_dangerous_framing"),
        ("23.0.0", "does not know: http_parser (25.2.0 and later), tolerate_dangerous_framing"),
        ("27.0.1", "does not know: tolerate_dangerous_framing (22.0.0 until before 23.0.0)"),
    ],
)
def test_a_file_with_settings_of_other_releases(tmp_path: Path, release: str, said: str) -> None:
    """`Application.load_config_from_module_name_or_filename` passes over unknown names."""
    conf = tmp_path / "gunicorn.conf.py"
    text = "workers = 2\nhttp_parser = 'fast'\ntolerate_dangerous_framing = True\nmine = 1\n"
    conf.write_text(text, encoding="utf-8")
    found = [each for each in notices("-c", str(conf), "--gunicorn", release) if "ignores" in each]
    assert len(found) == 1
    assert found[0].startswith(f"{conf}: Gunicorn {release} ignores")
    assert said in found[0]
    assert "mine" not in found[0]


def test_a_release_that_knows_all_of_them_needs_no_notice(tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("workers = 2\nhttp_parser = 'fast'\n", encoding="utf-8")
    assert not any("ignores" in each for each in notices("-c", str(conf)))


def test_a_flag_that_a_release_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """There argparse exits with status 2: ``gunicorn --no-control-socket`` on 23.0.0."""
    said = "Gunicorn 23.0.0 does not start with a flag it does not know: --no-control-socket"
    flags = ("--gunicorn", "23.0.0")
    assert sum(said in each for each in notices(*flags, "--no-control-socket")) == 1
    assert not any("does not start" in each for each in notices("--no-control-socket"))
    monkeypatch.setenv(CMD_ARGS, "--no-control-socket")
    assert sum(said in each for each in notices(*flags)) == 1
