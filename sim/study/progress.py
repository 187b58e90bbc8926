"""How far a study is, on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from sim.reports.progress import PATIENCE

#: What to call after each trial: the number made, and the most that are still to come.
Advance = Callable[[int, int], None]


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar with the time left, once the study has taken `PATIENCE` s; it goes away at the end.

    A search cannot know how many trials it will take; the bar shows the most, so it may jump
    ahead when the answer is found.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, see sim.cli
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=None, text="")
    began = time.monotonic()

    def advance(made: int, remaining: int) -> None:
        text = (
            f"{made:,} of at most {made + remaining:,} runs, {_time_left(began, made, remaining)}"
        )
        bar.update(task, completed=made, total=made + remaining, text=text)

    late = Timer(PATIENCE, bar.start)
    late.daemon = True
    late.start()
    try:
        yield advance
    finally:
        late.cancel()
        late.join()  # Or it could start the bar after it was stopped.
        bar.stop()


def _time_left(began: float, made: int, remaining: int) -> str:
    seconds = round((time.monotonic() - began) * remaining / made)
    minutes, seconds = divmod(seconds, 60)
    return f"at most about {minutes}:{seconds:02} left"
