"""What was tried to break the project, from ``data/campaigns.jsonl``, for a page.

``--record site_docs/data/campaigns.jsonl`` of `python -m tests.swarm`, `tests.differential`,
`tests.fuzz` and `tests.kills` adds a row for each session.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from sim.errors import ExperimentError

FILE = Path(__file__).parents[1] / "data" / "campaigns.jsonl"

#: What each campaign tries, in the order of the table.
WORDS: Final = {
    "swarm": "experiments put together by chance",
    "differential": "small experiments on the real server",
    "fuzz": "inputs for {}",
    "kills": "ends of {} at random moments",
}

#: What the table calls what was tried, where its own name does not say it.
NAMES: Final = {
    "config": "`gunicorn.conf.py`",
    "costs": "`--costs`",
    "dask": "`size --dask`",
    "distribution": "distributions",
    "disturb": "`--disturb`",
    "experiment": "experiment files",
    "launchdarkly": "`measure --launchdarkly`",
    "log": "access logs",
    "probe": "`--probe`",
    "record": "a recording",
    "route": "`--route`",
    "runs": "saved runs",
    "save": "`--save`",
    "size": "`size --resume`",
    "spawn": "`size` without a fork server",
    "store": "stores of `--resume`",
    "sweep": "`sweep --resume`",
    "trace": "traces",
    "validation": "validation rows",
}


class Tried(NamedTuple):
    """What was tried in all sessions together.

    Attributes:
        campaign: a key of `WORDS`.
        of: what was tried; empty where all are of one kind.
        number: how many.
        faults: how many of them found something.
        last: day of the last session.
    """

    campaign: str
    of: str
    number: int
    faults: int
    last: str


def read(path: Path | None = None) -> list[Tried]:
    """What was tried, in the order of the table.

    Raises:
        ExperimentError: when a row is of a campaign that nobody knows.
    """
    path = path or FILE
    found: dict[tuple[str, str], Tried] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        campaign, of = row["campaign"], row["of"]
        if campaign not in WORDS:
            raise ExperimentError(
                f"{path}, line {number}: campaign is {campaign!r}; expected {', '.join(WORDS)}"
            )
        before = found.get((campaign, of), Tried(campaign, of, 0, 0, ""))
        found[campaign, of] = Tried(
            campaign,
            of,
            before.number + row["number"],
            before.faults + row["faults"],
            max(before.last, row["date"][:10]),
        )
    order = [*WORDS]
    return sorted(found.values(), key=lambda it: (order.index(it.campaign), it.of))


def table() -> str:
    """A line for each thing that was tried."""
    return "\n".join(_lines(read()))


def _lines(tried: Iterable[Tried]) -> Iterable[str]:
    yield "| tried | how many | found something | last |"
    yield "| --- | ---: | ---: | --- |"
    for it in tried:
        what = WORDS[it.campaign].format(NAMES.get(it.of, f"`{it.of}`"))
        yield f"| {what} | {it.number:,} | {it.faults} | {it.last} |"
