"""The timeline: process events as text, with time and process.

The text of an event follows its process's name, as in ``worker 1  crashes with a request``.
`sim.run` lists the kinds of event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.experiment.disturbance import ALL_PROCESSES, CLIENTS, FLAG_SERVICE
from sim.reports.prose import print_table
from sim.run import ProcessEvent

_DESCRIPTIONS: Mapping[str, str] = {
    "listening": "listens",
    "fork": "is forked",
    "postfork": "has its flags from LaunchDarkly",
    "postfork failed": "continues without flags from LaunchDarkly",
    "boot failed": "cannot boot",
    "ready": "is ready for requests",
    "max_requests": "reached max_requests; restarting",
    "crash": "crashes with a request",
    "hang": "a request begins to hang",
    "hang over": "hung request finished",
    "timeout": "timed out: no heartbeat",
    "orphaned": "notices that its master is gone",
    "spins": "spins, and polls no connection that it holds",
    "exiting": "exits",
    "exit": "has ended",
    "halt": "stops: a worker cannot boot",
    "shutdown": "shuts down",
    "promoted": "is the only master now",
    "crash set": "will crash with its next request",
    "hang set": "will hang with its next requests",
    "boot error set": "cannot boot workers from now on",
    "liveness failed": "failed its liveness probe; restarting",
    "startup failed": "failed its startup probe; restarting",
    "startup over": "passed its startup probe",
    "ended": "has ended with all its processes",
    "back-off": "waits for its restart (CrashLoopBackOff)",
    "started": "is started again",
    "out of service": "is taken out of its Service",
    "in service": "is in its Service again",
    "rollout": "begins a rollout",
    "created": "is created",
    "available": "is ready; the old pod is to go",
    "deleted": "is deleted",
    "switched": "sends connections to the new pod only",
}

#: Begins the kind of a signal that a master handles, and of one that the experiment sends.
_HANDLED, _SENT = "signal ", "sent "

#: The kind of `sim.experiment.disturbance.Rate.event` for a rate of zero.
NO_REQUESTS = "rate 0"


def describe(kind: str, process: str) -> str:
    """What an event of that ``kind`` means for ``process``, as it follows the process's name."""
    if kind.startswith(_HANDLED):
        return f"handles SIG{kind.removeprefix(_HANDLED).upper()}"
    if kind.startswith(_SENT):
        return f"{'are' if process == ALL_PROCESSES else 'is'} {kind}"
    if process == CLIENTS:
        return "send no more requests" if kind == NO_REQUESTS else f"go on at {kind} / s"
    if process == FLAG_SERVICE:
        return f"is now: {kind}"
    return _DESCRIPTIONS.get(kind, kind)


def print_timeline(console: Console, events: Iterable[ProcessEvent]) -> None:
    """Print every event on a line of its own; its time is in s since the start of the run."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("process", no_wrap=True)
    table.add_column("what happens", no_wrap=True)
    for time, kind, process in events:
        # Text, not str: what comes from a file may hold the brackets of rich's markup.
        table.add_row(f"{time:,.3f}", Text(process), Text(describe(kind, process)))
    console.print()
    print_table(console, table)
