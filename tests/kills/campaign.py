"""Ends commands at random moments, again and again.

Goal: whenever a command ends, nothing runs on, no file is half-written, and nothing that was kept
is lost. Method: each command is started, gets a signal at a moment that a seeded stream draws, and
is looked at: processes by a mark in their environment and by their session, temporary files by a
folder of its own, its file by what reads it. A command that resumes is then run to its end.
`command` and `recording` say what is demanded of which signal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from sim.command import INTERRUPTED, write_stdout
from tests.campaigns import add_record_argument, record
from tests.kills.subjects import SUBJECTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when something was wrong."""
    parser = _parser()
    args = parser.parse_args(arguments)
    unknown = set(args.commands) - set(SUBJECTS)
    if unknown:
        parser.error(f"{min(unknown)!r} is no command; expected one of {', '.join(SUBJECTS)}")
    wrong = 0
    try:
        for name in args.commands or SUBJECTS:
            numbers = range(args.first, args.first + args.times)
            wrong += _rounds(name, args.seed, numbers, args.record)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills",
        description="End commands at random moments, and say what they leave.",
        allow_abbrev=False,
    )
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(SUBJECTS))
    parser.add_argument("--times", type=int, default=3, help="that each command is ended [3]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and signals [1]")
    parser.add_argument("--first", type=int, default=0, help="number of the first time [0]")
    add_record_argument(parser)
    return parser


def _rounds(name: str, seed: int, numbers: range, file: Path | None) -> int:
    """End a command so often; how often something was wrong."""
    bad, done, began = 0, 0, time.monotonic()
    try:
        with SUBJECTS[name]() as kill:
            for number in numbers:
                about, found = kill(Random(f"{seed} {name} {number}"))
                bad += bool(found)
                done += 1
                for trouble in found:
                    write_stdout(f"\n{name}, number {number}, {about}: {trouble}\n")
                sys.stderr.write(f"\r{name}: {done} of {len(numbers)}")
                sys.stderr.flush()
    finally:
        seconds = time.monotonic() - began
        record(file, "kills", name, seed, numbers[:done], bad, seconds)
    sys.stderr.write("\r")
    write_stdout(f"{name}: ended {len(numbers)} times in {seconds:.0f} s, {bad} with trouble\n")
    return bad
