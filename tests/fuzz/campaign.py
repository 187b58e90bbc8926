"""Gives every reader inputs that nobody has written, until the time is over.

Goal: no input of a user's ends in a traceback, a hang, or a message that nobody understands.
Method: `worker` makes inputs from those of `seeds`, and `faults` judges each. An input with a fault
is made as small as it can be, and kept in ``found``, from where `tests/tools/test_fuzz.py` gives it
to its reader again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from faults import Fault, verdict
from mutation import smaller
from readers import READERS

from sim.command import INTERRUPTED, write_stdout
from tests.campaigns import add_record_argument, record

#: Where an input with a fault is kept, in a folder for each reader.
FOUND = Path(__file__).parent / "found"

#: s that a worker may take to start, and to end its last input.
PATIENCE = 90.0

#: Files that `worker` leaves.
FAULTS = "fault-*.json"


class Found(NamedTuple):
    """An input with a fault."""

    data: bytes
    fault: Fault


class Result(NamedTuple):
    """What became of one reader.

    Attributes:
        inputs: how many it was given.
        seconds: s that this took.
        found: an input for each kind of fault.
    """

    inputs: int
    seconds: float
    found: list[Found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when a fault was found."""
    parser = _parser()
    args = parser.parse_args(arguments)
    readers: list[str] = args.readers or list(READERS)
    unknown = [reader for reader in readers if reader not in READERS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no reader; expected one of {', '.join(READERS)}")
    guided = not args.unguided and importlib.util.find_spec("atheris") is not None
    way = "coverage-guided by atheris" if guided else "mutated by a seeded stream"
    write_stdout(f"seed {args.seed}, {way}\n")
    total, faults = 0, 0
    try:
        for reader in readers:
            result = tested(reader, 60 * args.minutes / len(readers), args.seed, guided=guided)
            total += result.inputs
            faults += len(result.found)
            rate = result.inputs / result.seconds
            write_stdout(
                f"{reader}: {result.inputs:,} inputs in {result.seconds:.0f} s, {rate:,.0f} a "
                f"second; {len(result.found)} kinds of faults\n"
            )
            tried = range(result.inputs)
            record(args.record, "fuzz", reader, args.seed, tried, len(result.found), result.seconds)
            for found in result.found:
                about = f"{found.fault.kind}: {found.fault.about}"
                write_stdout(f"{about}\nkept: {keep(reader, found)}\n")
    except KeyboardInterrupt:
        return INTERRUPTED
    write_stdout(f"{total:,} inputs, {faults} kinds of faults\n")
    return 1 if faults else 0


def tested(reader: str, seconds: float, seed: int, *, guided: bool) -> Result:
    """Give a reader inputs for so many ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        command = [
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            *(reader, f"{seconds:g}", f"{seed}", name),
            *(["guided"] if guided else []),
        ]
        began = time.monotonic()
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, "TMPDIR": name}
            )
            try:
                status: int | None = process.wait(seconds + PATIENCE)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                process.kill()
                process.wait()
        taken = time.monotonic() - began
        found = list(_found(folder))
        if status != 0:
            found.append(_ended(folder, status))
        inputs = folder / "inputs"
        number = int(inputs.read_text(encoding="ascii")) if inputs.exists() else 0
    return Result(number, taken, [_smaller(reader, each) for each in found])


def keep(reader: str, found: Found) -> Path:
    """Write an input with a fault to `FOUND`."""
    folder = FOUND / reader
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(found.data).hexdigest()[:10]
    path.write_bytes(found.data)
    return path


def _found(folder: Path) -> Iterator[Found]:
    for path in sorted(folder.glob(FAULTS)):
        document = json.loads(path.read_text(encoding="utf-8"))
        fault = Fault(document["kind"], document["about"])
        yield Found(bytes.fromhex(document["input"]), fault)


def _ended(folder: Path, status: int | None) -> Found:
    """The fault of a worker that did not come to its end."""
    current = folder / "current"
    data = current.read_bytes() if current.exists() else b""
    last = (folder / "output").read_text(encoding="utf-8", errors="replace")[-2_000:]
    if status is None:
        kind = "the process does not come back"
    elif status < 0:
        kind = f"the process was ended by {signal.Signals(-status).name}"
    else:
        kind = f"the process ended with status {status}"
    return Found(data, Fault(kind, last))


def _smaller(reader: str, found: Found) -> Found:
    """The same fault of a smaller input, where this process can tell."""

    def kind_of(data: bytes) -> str:
        fault = verdict(reader, data).fault
        return "" if fault is None else fault.kind

    ends_process = found.fault.kind.startswith("the process")
    if ends_process or kind_of(found.data) != found.fault.kind:
        return found
    return Found(smaller(found.data, found.fault.kind, kind_of), found.fault)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Give the readers inputs that nobody has written.",
        allow_abbrev=False,
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--minutes", type=float, default=1.0, help="for all of them together [1]")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs [1]")
    parser.add_argument(
        "--unguided", action="store_true", help="without atheris, where it is installed too"
    )
    add_record_argument(parser)
    return parser
