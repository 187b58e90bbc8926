"""What a limit on connections did on releases of Gunicorn, as it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sim.errors import ExperimentError
from sim.reading import toml_file
from site_docs.rendering import numbers

FILE = Path(__file__).parents[1] / "data" / "limited.toml"


@dataclass(frozen=True, slots=True)
class Limited:
    """One `gthread` server on one release.

    Attributes:
        gunicorn: the release.
        workers: their number.
        threads: of each worker.
        rate: requests / s.
        requests: that were sent.
        answered: of these.
        cpu: of a core, that the busiest worker took.
        limit: `worker_connections`; None where it was left at its default.
        median_ms: latency of those that were answered, ms; None where none was.
    """

    gunicorn: str
    workers: int
    threads: int
    rate: int
    requests: int
    answered: int
    cpu: float
    limit: int | None = None
    median_ms: int | None = None


def read(path: Path = FILE) -> tuple[Limited, ...]:
    """Every measurement, in the order of the file.

    Raises:
        ExperimentError: when the file cannot be read, or a measurement is not whole.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, ("date", "processor", "cores", "measured"), f"{path}:")
    tables = document.get("measured", [])
    if not tables:
        raise ExperimentError(f"{path}: measured is missing; expected tables [[measured]]")
    measurements = []
    for number, table in enumerate(tables, start=1):
        where = f"{path}: [[measured]] {number}"
        values = toml_file.parse_table(table, Limited, where)
        toml_file.refuse_missing(values, Limited, where)
        measurements.append(Limited(**values))
    return tuple(measurements)


def where() -> str:
    """When and on what it was measured, in words."""
    document = toml_file.load(FILE)
    return f"{document['date']}, {document['processor']}, {document['cores']} cores"


def table() -> str:
    """Each server, with a pair of columns for each release."""
    rows = read()
    releases = list(dict.fromkeys(row.gunicorn for row in rows))
    heads = " | ".join(f"{release}: answered | median" for release in releases)
    lines = [f"| settings | {heads} |", f"| --- |{' ---: | ---: |' * len(releases)}"]
    by_settings = sorted(rows, key=lambda row: list(map(_settings, rows)).index(_settings(row)))
    for settings, group in groupby(by_settings, key=_settings):
        side = {row.gunicorn: row for row in group}
        cells = [cell for release in releases for cell in _cells(side[release])]
        lines.append(f"| `{settings}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _settings(row: Limited) -> str:
    limit = "" if row.limit is None else f" --worker-connections {row.limit}"
    return f"-w {row.workers} -k gthread --threads {row.threads}{limit}"


def _cells(row: Limited) -> tuple[str, str]:
    median = "never" if row.median_ms is None else numbers.seconds(row.median_ms / 1000)
    return f"{row.answered:,} of {row.requests:,}", median
