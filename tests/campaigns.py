"""What was tried to break the project, and how often: a row for each session of a campaign.

`python -m tests.swarm`, `tests.differential`, `tests.fuzz` and `tests.kills` add theirs with
``--record FILE``. The site adds up those of ``site_docs/data/campaigns.jsonl``.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from this_commit import this_commit

from reference_app.rig.processor import processor
from tests.json_rows import open_rows, write_row

Campaign = Literal["swarm", "differential", "fuzz", "kills"]


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a campaign.

    Attributes:
        campaign: whose it is.
        of: what was tried, where there are several: a reader, or a command.
        seed: of what was tried.
        first: number of the first that was tried.
        number: how many were tried.
        faults: how many were found: of a kind each, or experiments or rounds with trouble.
        seconds: s that it took.
        date: when it ended, ISO 8601.
        commit: of the code that was tried.
        python: its version.
        processor: of the machine.
    """

    campaign: Campaign
    of: str
    seed: int
    first: int
    number: int
    faults: int
    seconds: float
    date: str
    commit: str
    python: str
    processor: str


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--record`` to a command's arguments."""
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="add what was tried to this file, as site_docs/data/campaigns.jsonl",
    )


def record(
    path: Path | None,
    campaign: Campaign,
    of: str,
    seed: int,
    tried: range,
    faults: int,
    seconds: float,
) -> None:
    """Add a session that has just ended to a file, if there is one.

    Args:
        path: of the file; None for none.
        campaign: as of `Session`.
        of: the same.
        seed: the same.
        tried: numbers of what was tried.
        faults: as of `Session`.
        seconds: the same.
    """
    if path is None:
        return
    session = Session(
        campaign,
        of,
        seed,
        tried.start,
        len(tried),
        faults,
        round(seconds, 1),
        datetime.now(UTC).isoformat(timespec="seconds"),
        this_commit(),
        platform.python_version(),
        processor(),
    )
    with open_rows(path) as file:
        write_row(file, session)
