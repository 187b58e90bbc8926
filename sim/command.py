"""What both command lines owe to the shell: exit statuses, stdout, and files to save to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from sim.errors import ExperimentError
from sim.whole_file import unwritable

#: Console scripts, by the package that they run.
SCRIPTS = {"sim": "gunicorn-sim"}

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
PIPE_CLOSED = 141  # 128 + SIGPIPE
TERMINATED = 143  # 128 + SIGTERM


def run_command(command: Callable[[], None]) -> int:
    """Run ``command`` and return the exit status of the process.

    0 when it returns, 2 and one line on stderr for an `ExperimentError`, 130 after Ctrl-C, 141
    when nobody reads stdout any more, 143 after SIGTERM; no traceback in any of these.
    """
    _open_closed_streams()
    terminated: list[int] = []
    try:
        with _terminable(terminated):
            command()
    except ExperimentError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        return TERMINATED if terminated else INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED
    return 0


@contextmanager
def _terminable(terminated: list[int]) -> Iterator[None]:
    """Make SIGTERM end the block as Ctrl-C does: temporary files and processes end with it.

    Another thread than the main one cannot, and what has a handler already keeps it.

    Args:
        terminated: gets the signal's number when it comes.
    """

    def terminate(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - a handler's
        terminated.append(number)
        raise KeyboardInterrupt

    handled = signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    if not handled:
        try:
            signal.signal(signal.SIGTERM, terminate)
        except ValueError:
            handled = True
    try:
        yield
    finally:
        if not handled:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def called(package: str) -> str:
    """How this process was called: by the console script of ``package``, or as a module.

    Help and messages say it so that what they show can be typed.
    """
    script = SCRIPTS.get(package)
    return script if script == Path(sys.argv[0]).stem else f"python -m {package}"


def _open_closed_streams() -> None:
    """Let what is written to a closed stdout or stderr go nowhere.

    Python has None for them: a message would end in another stream, or in a traceback, and the next
    file that is opened would have their descriptor.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            if nowhere > 2:
                os.close(nowhere)
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))


def write_stdout(text: str) -> None:
    """Write all of ``text``, with question marks for what stdout's encoding does not have.

    Raises:
        BrokenPipeError: when nobody reads it.
        ExperimentError: when it cannot be written for another reason, such as a full disk.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), end="", flush=True)  # noqa: T201
    except OSError as error:
        # What could not be written is still buffered; the interpreter would try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise ExperimentError(f"stdout: cannot be written ({error.strerror})") from None


def writable(path: Path) -> Path:
    """Return ``path`` if a file can be put there; ask before the work that is to be saved.

    Raises:
        ExperimentError: when it cannot, or when what is there is no regular file.
    """
    import tempfile  # noqa: PLC0415 - only what saves a file needs it

    try:
        if path.is_dir():
            raise ExperimentError(f"{path}: is a directory; expected a file to save to")
        if path.exists() and not path.is_file():
            raise ExperimentError(f"{path}: is not a regular file; expected a file to save to")
        with tempfile.TemporaryFile(dir=path.parent) as file:
            # A full disk still takes an empty file.
            file.write(b"\n")
            file.flush()
    except OSError as error:
        raise unwritable(path, error) from None
    return path
