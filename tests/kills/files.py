"""What is wrong with the file of a command that was ended; an empty text if nothing is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sim.errors import ExperimentError
from sim.run import load
from sim.validation import rows


def trials(path: Path) -> str:
    """A file of ``--resume``: JSON lines, of which the last may be cut off, no trial twice."""
    seen: set[str] = set()
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            trial = json.dumps([record.get("point"), record.get("replication")])
        except (ValueError, AttributeError) as error:
            return f"line {number} is broken: {error}"
        if trial in seen:
            return f"line {number} has a trial that another has"
        seen.add(trial)
    return ""


def runs(path: Path) -> str:
    """A file of ``--save``."""
    try:
        load(path)
    except ExperimentError as error:
        return str(error)
    return ""


def validation(path: Path) -> str:
    """A file of ``validate``: no cell is measured more often than its header asks for."""
    if b"\n" not in path.read_bytes():
        return ""
    try:
        header, measurements = rows.read(path)
    except ExperimentError as error:
        return str(error)
    measured = Counter(measurement.cell for measurement in measurements)
    return "" if max(measured.values(), default=0) <= header.repeats else f"it has {measured}"
