"""The page on upgrading: each step between two releases, from `release.BEHAVIOURS`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Final

from sim.analysis.summary import summarize
from sim.errors import ExperimentError
from sim.experiment.release import BEHAVIOURS, KNOWN, NEWEST
from sim.model.simulation import predict
from sim.reading.release_settings import SINCE, UNTIL
from sim.run import OK
from site_docs.rendering import numbers
from site_docs.rendering.release_table import ROWS, change, meaning
from site_docs.runs.build_cache import cached_on_disk
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import FAQ_RELEASE, OLDEST, ROOT, by_name, on_release

#: The releases between which the page has a step each: those that people run, the last of each.
STEPS: Final = ("20.1.0", "21.2.0", "23.0.0", "24.1.1", "25.3.0", "26.2.0", NEWEST)

#: Those of the `STEPS` on which the experiments of the pages were measured.
MEASURED: Final = (OLDEST, FAQ_RELEASE, NEWEST)

#: How often each is predicted.
VARIANTS = 12

#: What to do about each change of a field of `Release`, in the order of `BEHAVIOURS`.
ADVICE: Final[Mapping[str, tuple[str, ...]]] = {
    "new_connection": (
        "Do not limit `worker_connections` on 21 to 23",
        "Let no silent client reach Gunicorn: put a proxy in front that sends whole requests, or "
        "skip to 25.2",
    ),
    "finished_by": ("Nothing",),
    "at_limit": ("Now `worker_connections = threads` gives one queue (24 and later)",),
    "data_timeout": ("Nothing",),
    "drain_timeout": (
        "Have the application read bodies, or a proxy send them whole; or skip to 26",
        "Nothing; a body that the application does not read closes its connection",
    ),
    "gthread_closing": ("Have clients and proxies close when the server does",),
    "stop_seen": ("Nothing",),
    "stopping": ("Drop the workarounds for resets at a reload and at `max_requests`",),
    "idle_at_stop": (
        "Have `graceful_timeout` as short as a stop may take: idle kept connections use it up",
        "Skip to 27.0.1: here a client may send as its connection closes",
        "`graceful_timeout` may be long again",
    ),
    "heartbeat_at_stop": ("Nothing; `timeout` may be shorter than a request again",),
    "sync_abort": ("Alert on 500 where you alerted on resets",),
    "sync_closing": ("Have clients and proxies close when the server does",),
    "heartbeat_clock": ("Give what `post_fork` waits for a timeout of its own",),
    "sigchld": (
        "Skip 24.0.0",
        "Nothing",
    ),
    "sighup": ("Keep `graceful_timeout` short: a worker that dies meanwhile is missing",),
    "reuse_port": ("Set `reuse_port = False`: a worker that restarts resets its queue",),
    "second_signal": ("Send a second SIGINT only to end at once",),
    "signal_queue": ("Nothing",),
    "asgi_idle": ("Nothing; raise `keepalive` above what a proxy keeps",),
    "asgi_grace": ("Nothing; `asgi_disconnect_grace_period` is new, and can be 0",),
    "asgi_closing": (
        "Nothing; `keepalive` 0 and `max_requests` reset no kept connection any more",
    ),
    "asgi_closed": (
        "Skip to 26.1: here each stop and restart takes `graceful_timeout`",
        "`graceful_timeout` may be long again",
    ),
    "asgi_quit": ("Stop with SIGTERM where requests are to be finished",),
}

#: Experiments whose toll the page shows by release, and what goes wrong in each.
TOLLS: Final[Mapping[str, str]] = {
    "reload": "a reload",
    "upgrade": "a new master (USR2)",
    "scale-down": "a worker less (TTOU)",
    "max-requests": "workers that restart after `max_requests`",
    "stop-with-long-request": "a stop, and clients that go on",
    "worker-killed": "a worker is killed",
    "one-thread-hangs": "a thread hangs for 6 s",
    "sync-hang-past-timeout": "a `sync` worker hangs",
}

#: Files that a command on the page reads.
FILES: Final[Mapping[str, str]] = {
    "gunicorn.conf.py": "workers = 2\nthreads = 4\npreload_app = True\nmax_requests = 200\n"
}


def steps() -> str:
    """A section for each step: what changes, what to do, and the settings that come and go."""
    return "\n\n".join(_step(old, new) for old, new in pairwise(STEPS))


def _step(old: str, new: str) -> str:
    rows = [
        f"| {row.part} | {row.question} | {meaning(row, before)} | {change(row, after)} "
        f"| {advice} |"
        for name, row in ROWS.items()
        for (before, after), advice in zip(pairwise(BEHAVIOURS[name]), ADVICE[name], strict=True)
        if KNOWN.index(old) < KNOWN.index(after.since) <= KNOWN.index(new)
    ]
    lines = [f"### {old} to {new}", "", *_settings(old, new), ""]
    if rows:
        lines += ["| of | what | before | after | do |", "| --- | --- | --- | --- | --- |", *rows]
    return "\n".join(lines)


def _settings(old: str, new: str) -> list[str]:
    """What the newer release knows that the older does not, and the other way round."""
    place, end = KNOWN.index(old), KNOWN.index(new)
    came, went = (
        [f"`{name}`" for name, when in table.items() if place < KNOWN.index(when) <= end]
        for table in (SINCE, UNTIL)
    )
    # Settings that came and went in between concern nobody.
    both = set(came) & set(went)
    begun, gone = ([name for name in names if name not in both] for names in (came, went))
    lines = [f"New settings: {', '.join(begun)}."] if begun else []
    lines += [f"No longer known: {', '.join(gone)}."] if gone else []
    return lines or ["No setting came or went."]


@cached_on_disk
def lost(name: str, release: str) -> float:
    """Requests of an experiment that a release is predicted to lose, on average."""
    experiment = by_name()[name].experiment()
    experiment = replace(experiment, server=replace(experiment.server, gunicorn=release))
    runs = (predict(experiment, 0, variant) for variant in range(VARIANTS))
    return fmean(sum(code != OK for code in run.requests.outcome) for run in runs)


def measured_lost(name: str, release: str) -> float | None:
    """The same as measured; None where the release was not measured."""
    if release not in MEASURED:
        return None
    runs = evidence(_name_on(name, release)).measured
    return fmean(sum(code != OK for code in run.requests.outcome) for run in runs)


def _name_on(name: str, release: str) -> str:
    return name if release == NEWEST else on_release(name, release)


def troubles() -> str:
    """Every trouble on the releases that were measured: requests lost, and time to recover."""
    heads = "".join(f" | {each}: lost | threads back after" for each in MEASURED)
    lines = [f"| trouble{heads} |", f"| --- |{' ---: |' * 2 * len(MEASURED)}"]
    for experiment in by_name().values():
        if experiment.trouble and experiment.release is None:
            sides = [_cells(_name_on(experiment.name, each)) for each in MEASURED]
            lines.append(f"| `{experiment.name}` | {' | '.join(sides)} |")
    return "\n".join(lines)


def _cells(name: str) -> str:
    """What a trouble costs: predicted, measured."""
    record = evidence(name)
    lost = ", ".join(
        numbers.count(fmean(sum(code != OK for code in run.requests.outcome) for run in side))
        for side in (record.predicted, record.measured)
    )
    rows = record.comparison.recovery
    if not rows:
        return f"{lost} | "
    back = ", ".join(
        numbers.seconds(_last([getattr(row, side).capacity_restored_after_s for row in rows]))
        for side in ("predicted", "measured")
    )
    return f"{lost} | {back}"


def _last(times: list[float | None]) -> float | None:
    """When all threads are back after the last of several disturbances; None for never."""
    known = [time for time in times if time is not None]
    return max(known) if len(known) == len(times) and known else None


def tolls() -> str:
    """Requests without a response 200 of `TOLLS`, by release, as a table."""
    heads = " | ".join(f"{each}{': predicted, measured' * (each in MEASURED)}" for each in STEPS)
    lines = [f"| what happens | {heads} |", f"| --- |{' ---: |' * len(STEPS)}"]
    for name, text in TOLLS.items():
        sides = [(lost(name, each), measured_lost(name, each)) for each in STEPS]
        cells = [", ".join(numbers.count(n) for n in side if n is not None) for side in sides]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


@cached_on_disk
def restored(name: str, release: str) -> float | None:
    """S until all threads can serve again, predicted; None for never."""
    experiment = by_name()[name].experiment()
    experiment = replace(experiment, server=replace(experiment.server, gunicorn=release))
    summary = summarize([predict(experiment, 0, variant) for variant in range(VARIANTS)])
    return summary.recovery[-1].capacity_restored_after_s


def hangs() -> str:
    """What becomes of a worker that hangs in `post_fork`, by release, as a table."""
    heads = " | ".join(STEPS)
    name = "hung-in-post-fork"
    cells = [numbers.seconds(restored(name, each)) for each in STEPS]
    return "\n".join(
        (
            f"| predicted | {heads} |",
            f"| --- |{' ---: |' * len(STEPS)}",
            f"| threads back after | {' | '.join(cells)} |",
        )
    )


@cached_on_disk
def printed(command: str) -> str:
    """What a command of the page prints, as a block of code.

    Args:
        command: begins with ``python -m sim``; it may read `FILES` and ``experiments/``.

    Raises:
        ExperimentError: when it fails.
    """
    program, *arguments = shlex.split(command)
    if program != "python":
        raise ExperimentError(f"{command!r}: expected a command that begins with python")
    with TemporaryDirectory() as folder:
        for name, text in FILES.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        Path(folder, "experiments").symlink_to(ROOT / "experiments")
        done = subprocess.run(  # noqa: S603 - our own page's
            [sys.executable, *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ExperimentError(f"{command!r} failed: {done.stderr.strip()}")
    return f"``` text\n{done.stdout.strip()}\n```"
