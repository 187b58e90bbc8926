"""Logs to read, the same for the same seed: one file in one format, or what services leave behind.

That is: ten files as logrotate names them, the older ones gzipped; lines that are out of order by
seconds, as several processes write them; and three kinds of them: Gunicorn's with the worker behind
it, without it, and JSON.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO

#: Requests in a second.
RATE = 500

#: s whose lines are out of order.
DISORDER = 4

#: Files of a rotated log; the newest two are not compressed.
FILES = 10

#: Parts of the lines that are of the second and of the third kind.
WITHOUT_WORKER, AS_JSON = 0.2, 0.2

#: When the first request ended, s since the epoch.
BEGIN = 1_795_860_000

PATHS = ("/", "/health", *(f"/api/v1/{name}" for name in "abcdefghijklmnopqrs"))
AGENTS = tuple(f"Mozilla/5.0 (X11; Linux x86_64; rv:{100 + n}.0)" for n in range(30))


def write_plain(folder: Path, lines: int, seed: int = 1) -> list[Path]:
    """One file in Gunicorn's format, in order."""
    path = folder / "access.log"
    random = Random(seed)
    with path.open("w", encoding="ascii") as file:
        for second in range(0, lines, RATE):
            file.writelines(_second(second, min(RATE, lines - second), random, mixed=False))
    return [path]


def write_rotated(folder: Path, lines: int, seed: int = 1) -> list[Path]:
    """A rotated log, the oldest file first."""
    random, paths = Random(seed), []
    each = -(-lines // FILES)
    for number, first in enumerate(range(0, lines, each)):
        age = FILES - 1 - number
        name = "access.log" if age == 0 else f"access.log.{age}{'.gz' if age > 1 else ''}"
        paths.append(folder / name)
        with _opened(paths[-1]) as file:
            end = min(first + each, lines)
            for start in range(first, end, DISORDER * RATE):
                block: list[str] = []
                for second in range(start, min(end, start + DISORDER * RATE), RATE):
                    block += _second(second, min(RATE, end - second), random, mixed=True)
                random.shuffle(block)
                file.write("".join(block).encode("ascii"))
    return paths


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        # The fastest: how well it is compressed does not matter here.
        return gzip.open(path, "wb", compresslevel=1)  # type: ignore[return-value]
    return path.open("wb")


def _second(number: int, lines: int, random: Random, *, mixed: bool) -> Iterator[str]:
    """The lines of the second in which request ``number`` ends."""
    stamp = datetime.fromtimestamp(BEGIN + number // RATE, UTC)
    written = stamp.strftime("%d/%b/%Y:%H:%M:%S +0000")
    iso = stamp.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    draw, choice = random.random, random.choice
    for _ in range(lines):
        target = choice(PATHS)
        if draw() < 0.5:
            # As many ids as there are requests.
            target = f"{target.rstrip('/')}/{int(1_000_000 * draw())}?page=2"
        took, worker, kind = 1_000 + int(399_000 * draw()), 40 + int(8 * draw()), draw()
        if mixed and kind < AS_JSON:
            yield (
                f'{{"time": "{iso}", "method": "GET", "path": "{target}", "status": 200, '
                f'"duration_ms": {took / 1000}, "pid": {worker}}}\n'
            )
            continue
        tail = "" if mixed and kind < AS_JSON + WITHOUT_WORKER else f" <{worker}>"
        yield (
            f"10.0.{int(256 * draw())}.{int(256 * draw())} - - [{written}] "
            f'"GET {target} HTTP/1.1" 200 {100 + int(8900 * draw())} "-" "{choice(AGENTS)}" '
            f"{took}{tail}\n"
        )
