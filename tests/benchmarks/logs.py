"""How fast a log is read, and in how much memory: ours beside GoAccess, on the same files.

``python tests/benchmarks/logs.py``: ten files of a rotated log in three formats, out of order; with
``--kind plain`` one file in Gunicorn's default format with ``%(D)s`` and ``%(p)s`` behind it. See
`log_lines`. GoAccess is the analyser that others are compared with; it counts requests by path,
host, browser and more, and ours keeps each request's arrival, time, process and route. Both have a
process of their own, by turns. GoAccess reads one format: how many lines that are is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from log_lines import write_plain, write_rotated

ROOT = Path(__file__).parents[2]

#: Of GoAccess: the log's format in its own words.
GOACCESS = (
    '--log-format=%h - %^ [%d:%t %^] "%r" %s %b "%R" "%u" %D <%^>',
    "--date-format=%d/%b/%Y",
    "--time-format=%T",
)

#: Files of any kind for a program that reads stdin.
PIPED = 'set -o pipefail; files=(); while [ "$1" != -- ]; do files+=("$1"); shift; done; shift; \
zcat -f "${files[@]}" | "$@"'

OURS = """
import sys
from pathlib import Path
from sim.reading.access_log import Reading, read_files
number, *paths = sys.argv[1:]
log = read_files([Path(each) for each in paths], Reading(by_route=True), 1, lambda _: None)
assert len(log.requests) == int(number), len(log.requests)
"""

KINDS = {"rotated": write_rotated, "plain": write_plain}


class Used(NamedTuple):
    """What a process and its own took: s of CPU, and the most bytes of memory that one had."""

    cpu: float
    memory: int


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
    parser.add_argument("--kind", choices=KINDS, default="rotated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goaccess", default="goaccess", help="the program [goaccess]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = KINDS[args.kind](Path(folder), args.lines, args.seed)
        size, files = sum(path.stat().st_size for path in paths) / 1e6, [str(p) for p in paths]
        print(f"{args.lines:,} lines in {len(paths)} files, {size:,.0f} MB", flush=True)  # noqa: T201
        contenders: dict[str, tuple[str, ...]] = {
            "ours": (sys.executable, "-c", OURS, str(args.lines), *files)
        }
        report = Path(folder, "report.json")
        if (goaccess := shutil.which(args.goaccess)) is None:
            print("GoAccess is skipped: it is not installed (apt-get install goaccess)")  # noqa: T201
        else:
            words = (goaccess, "-", *GOACCESS, "--no-progress", "-o", str(report))
            contenders["GoAccess"] = ("bash", "-c", PIPED, "bash", *files, "--", *words)
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
        if report.exists():
            read = json.loads(report.read_text(encoding="utf-8"))["general"]["valid_requests"]
            print(f"GoAccess has understood {read:,} lines")  # noqa: T201
        speeds = {name: args.lines / median(u.cpu for u in used) for name, used in rounds.items()}
        most = {name: max(u.memory for u in used) for name, used in rounds.items()}
        for name, speed in speeds.items():
            print(  # noqa: T201
                f"{name}: {speed:,.0f} lines/s, {most[name] / 1e6:,.0f} MB; speed "
                f"{speeds['ours'] / speed:.2f} of it, memory {most['ours'] / most[name]:.2f} of it"
            )


if __name__ == "__main__":
    main()
