"""How often a load balancer answers 502 because Gunicorn closes an idle connection, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from site_docs.runs.bad_gateways import KEEPALIVES, RATES, RUNS, Cell, read_file


def table() -> str:
    """A line for each rate, a column for each ``keepalive``: 502 a day, and their interval."""
    return "\n".join(_lines(read_file()))


def requests() -> str:
    """Requests behind each figure."""
    return f"{RUNS * read_file()[0].requests:,}"


def most(keepalive: int) -> float:
    """502 a day at the rate that has most of them with this ``keepalive``."""
    return max(cell.daily for cell in read_file() if cell.keepalive == keepalive)


def _lines(cells: tuple[Cell, ...]) -> Iterator[str]:
    by_settings = {(cell.rate, cell.keepalive): cell for cell in cells}
    yield f"| requests/s | {' | '.join(f'`keepalive` {number} s' for number in KEEPALIVES)} |"
    yield f"| ---: |{' ---: |' * len(KEEPALIVES)}"
    for rate in RATES:
        row = [_cell(by_settings[rate, keepalive]) for keepalive in KEEPALIVES]
        yield f"| {rate:g} | {' | '.join(row)} |"


def _cell(cell: Cell) -> str:
    low, high = map(_number, cell.interval)
    return f"{_number(cell.daily)} ({low} to {high})" if cell.daily else f"0 (up to {high})"


def _number(daily: float) -> str:
    """Two digits."""
    return f"{float(f'{daily:.2g}'):,.{0 if daily >= 9.95 else 1}f}"
