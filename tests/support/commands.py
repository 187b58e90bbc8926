"""What a command line of ``sim`` says, and the files that it names."""

from __future__ import annotations

from pathlib import Path

from sim.experiment import Experiment
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser


def parsed(*arguments: str) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment of these flags, and the notices about it."""
    parser = OneLineParser()
    add_experiment_arguments(parser)
    return experiment_from(parser.parse_args(arguments))


def written(name: str, text: str) -> str:
    """The name of a file in the current directory that now has this text."""
    Path(name).write_text(text, encoding="utf-8")
    return name
