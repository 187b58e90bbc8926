"""What is wrong with how a reader takes an input: it raises, takes long, or says it badly."""

from __future__ import annotations

import contextlib
import resource
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from readers import READERS

from sim.errors import ExperimentError

#: Most s of CPU that an input may take.
MOST_SECONDS = 1.0

#: Most bytes of memory that it may take beyond what the process has.
MOST_BYTES = 200 * 2**20

#: Most characters of a message.
LONGEST_MESSAGE = 640

ROOT = Path(__file__).parents[2]


class Fault(NamedTuple):
    """What is wrong with one input.

    Attributes:
        kind: what it is and where, the same for inputs that meet the same fault.
        about: in full: a traceback, or a sentence.
    """

    kind: str
    about: str


class Verdict(NamedTuple):
    """What became of one input.

    Attributes:
        fault: what is wrong; None if nothing is.
        answer: the message that the input got, empty if it was understood.
    """

    fault: Fault | None
    answer: str


class TooLongError(BaseException):
    """An input has used all of its CPU time. No `Exception`: nothing must handle it."""


def verdict(reader: str, data: bytes) -> Verdict:
    """Let a reader of `READERS` read ``data``, in bounded time and memory."""
    try:
        with _limits():
            READERS[reader].read(data)
    except ExperimentError as error:
        message = str(error)
        return Verdict(_badly_said(message, error), message)
    except (Exception, SystemExit, TooLongError) as error:
        about = "".join(traceback.format_exception(error, limit=-12))
        return Verdict(Fault(f"{type(error).__name__} in {_place(error)}", about), "")
    return Verdict(None, "")


def _badly_said(message: str, error: ExperimentError) -> Fault | None:
    if not message.strip():
        problem = "an empty message"
    elif len(message.splitlines()) > 1:
        problem = "a message of several lines"
    elif len(message) > LONGEST_MESSAGE:
        problem = f"a message of over {LONGEST_MESSAGE} characters"
    else:
        return None
    return Fault(f"{problem} from {_place(error)}", f"{problem}: {message}")


def _place(error: BaseException) -> str:
    """The innermost function of the project that an exception went through."""
    place = "nowhere"
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT / "sim") or path.is_relative_to(ROOT / "tests"):
            place = f"{path.relative_to(ROOT)} {frame.name}()"
    return place


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Limit the CPU time and the memory of a block."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = used * resource.getpagesize() + MOST_BYTES
    handler = signal.signal(signal.SIGPROF, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)


def _too_long(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's
    raise TooLongError(f"more than {MOST_SECONDS:g} s of CPU")
