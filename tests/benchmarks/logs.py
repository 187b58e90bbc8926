"""How fast a log is read, and in how much memory: ours beside GoAccess, on the same file.

``python tests/benchmarks/logs.py``: a log of Gunicorn's default format with ``%(D)s`` and ``%(p)s``
behind it. GoAccess is the analyser that others are compared with; it counts requests by path, host,
browser and more, and ours keeps each request's arrival, time, process and route. Both have a
process of their own, by turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

#: Of GoAccess: the log's format in its own words.
GOACCESS = (
    '--log-format=%h - %^ [%d:%t %^] "%r" %s %b "%R" "%u" %D <%^>',
    "--date-format=%d/%b/%Y",
    "--time-format=%T",
)

OURS = """
import sys
from pathlib import Path
from sim.reading.access_log import Reading, read_files
log = read_files([Path(sys.argv[1])], Reading(by_route=True), 1, lambda _: None)
assert len(log.requests) == int(sys.argv[2]), len(log.requests)
"""


class Used(NamedTuple):
    """What a process took: s of CPU, and the most bytes of memory that it had."""

    cpu: float
    memory: int


def write(path: Path, lines: int) -> None:
    """Write a log of so many lines, 500 a second, with 40 paths and as many ids as there are."""
    random = Random(1)
    agents = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{100 + n}.0)" for n in range(30)]
    paths = ["/", "/health", *(f"/api/v1/{name}" for name in "abcdefghijklmnopqrs")]
    with path.open("w", encoding="ascii") as file:
        for second in range(0, lines, 500):
            stamp = datetime.fromtimestamp(1_795_860_000 + second // 500, UTC)
            written = stamp.strftime("%d/%b/%Y:%H:%M:%S +0000")
            for _ in range(min(500, lines - second)):
                target = random.choice(paths)
                if random.random() < 0.5:
                    target = f"{target.rstrip('/')}/{random.randrange(1_000_000)}?page=2"
                file.write(
                    f"10.0.{random.randrange(256)}.{random.randrange(256)} - - [{written}] "
                    f'"GET {target} HTTP/1.1" 200 {random.randrange(100, 9000)} "-" '
                    f'"{random.choice(agents)}" {random.randrange(1_000, 400_000)} '
                    f"<{40 + random.randrange(8)}>\n"
                )


def used_by(*command: str) -> Used:
    """Run a command, and say what it took."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    # Popen must not wait for it once more.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} has ended with status {process.returncode}")
    return Used(usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss)


def main() -> None:
    """Read the log by turns, and print lines per second, memory and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goaccess", default="goaccess", help="the program [goaccess]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "access.log")
        write(path, args.lines)
        size = path.stat().st_size / 1e6
        print(f"{args.lines:,} lines, {size:,.0f} MB", flush=True)  # noqa: T201
        contenders: dict[str, tuple[str, ...]] = {
            "ours": (sys.executable, "-c", OURS, str(path), str(args.lines))
        }
        if (goaccess := shutil.which(args.goaccess)) is None:
            print("GoAccess is skipped: it is not installed (apt-get install goaccess)")  # noqa: T201
        else:
            report = str(Path(folder, "report.json"))
            contenders["GoAccess"] = (goaccess, str(path), *GOACCESS, "--no-progress", "-o", report)
        rounds: dict[str, list[Used]] = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, command in contenders.items():
                began = time.monotonic()
                rounds[name].append(used_by(*command))
                used, wall = rounds[name][-1], time.monotonic() - began
                print(  # noqa: T201
                    f"{name}: {args.lines / used.cpu:,.0f} lines/s of CPU ({wall:.1f} s), "
                    f"{used.memory / 1e6:,.0f} MB at most",
                    flush=True,
                )
        speeds = {name: args.lines / median(u.cpu for u in used) for name, used in rounds.items()}
        most = {name: max(u.memory for u in used) for name, used in rounds.items()}
        for name, speed in speeds.items():
            print(  # noqa: T201
                f"{name}: {speed:,.0f} lines/s, {most[name] / 1e6:,.0f} MB; speed "
                f"{speeds['ours'] / speed:.2f} of it, memory {most['ours'] / most[name]:.2f} of it"
            )


if __name__ == "__main__":
    main()
