"""What a command line says and does, without a process of its own, and the files that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from sim.command import run_command
from sim.experiment import Experiment
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser

#: A command line, given its words.
Main = Callable[[Sequence[str]], None]


class Done(NamedTuple):
    """What a command printed, and its exit status."""

    returncode: object
    stdout: str
    stderr: str


def run_here(main: Main, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Done:
    """What a command does, run in this process: to start one takes longer than many a command."""
    try:
        status: object = run_command(lambda: main(words))
    except SystemExit as stop:
        status = stop.code
    return Done(status, *capsys.readouterr())


def parsed(*arguments: str) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment of these flags, and the notices about it."""
    parser = OneLineParser()
    add_experiment_arguments(parser)
    return experiment_from(parser.parse_args(arguments))


def written(name: str, text: str) -> str:
    """The name of a file in the current directory that now has this text."""
    Path(name).write_text(text, encoding="utf-8")
    return name
