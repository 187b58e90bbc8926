"""Process events as text for people: when, to whom, what.

The words here follow a process's name, as in ``worker 1  crashes with a request``; `sim.run` says
which kinds of event there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.experiment.disturbance import CLIENTS, EVERYBODY, FLAG_SERVICE
from sim.reports.prose import print_table
from sim.run import ProcessEvent

_WORDS: Mapping[str, str] = {
    "listening": "listens",
    "fork": "is forked",
    "postfork": "has its flags from LaunchDarkly",
    "postfork failed": "goes on without flags from LaunchDarkly",
    "boot failed": "cannot boot",
    "ready": "is ready for requests",
    "max_requests": "has had max_requests, and restarts",
    "crash": "crashes with a request",
    "hang": "begins to hang with a request",
    "hang over": "hangs no more with that request",
    "timeout": "is given up by the master: no heartbeat",
    "orphaned": "notices that its master is gone",
    "exiting": "exits",
    "exit": "is gone",
    "halt": "stops: a worker cannot boot",
    "shutdown": "shuts down",
    "promoted": "is the only master now",
    "crash set": "is to crash with its next request",
    "hang set": "is to hang with its next requests",
    "boot error set": "cannot boot workers from now on",
}

#: Begins the kind of a signal that a master handles, and of one that the experiment sends.
_HANDLED, _SENT = "signal ", "sent "

#: The kind of `sim.experiment.disturbance.Rate.event` where none come.
NO_REQUESTS = "rate 0"


def words(kind: str, process: str) -> str:
    """What an event of that ``kind`` means for ``process``, as it follows the process's name."""
    if kind.startswith(_HANDLED):
        return f"handles SIG{kind.removeprefix(_HANDLED).upper()}"
    if kind.startswith(_SENT):
        return f"{'are' if process == EVERYBODY else 'is'} {kind}"
    if process == CLIENTS:
        return "send no more requests" if kind == NO_REQUESTS else f"go on at {kind} / s"
    if process == FLAG_SERVICE:
        return f"is now: {kind}"
    return _WORDS.get(kind, kind)


def print_timeline(console: Console, events: Iterable[ProcessEvent]) -> None:
    """Print every event on a line of its own; its time is in s since the start of the run."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("process", no_wrap=True)
    table.add_column("what happens", no_wrap=True)
    for time, kind, process in events:
        # Text, not str: what comes from a file may hold the brackets of rich's markup.
        table.add_row(f"{time:,.3f}", Text(process), Text(words(kind, process)))
    console.print()
    print_table(console, table)
