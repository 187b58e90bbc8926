"""A progress bar on stderr, if it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

#: s of work before the bar appears.
PATIENCE = 2.0


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar, once the work has taken `PATIENCE` s; call with how much of ``total`` is done.

    It goes away at the end.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    # rich costs more start-up than all else together.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total)
    late = Timer(PATIENCE, bar.start)
    late.daemon = True
    late.start()
    try:
        yield lambda done: bar.update(task, completed=done)
    finally:
        late.cancel()
        late.join()  # Or it could start the bar after it was stopped.
        bar.stop()
