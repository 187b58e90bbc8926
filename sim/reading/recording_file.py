"""The file of a recording, as one process appends to it.

What one ``write(2)`` appends to a file that is open to append stays whole. So workers, reloads and
restarts share the file, and a crash of the process loses no line that has been written. A crash of
the machine or a full disk can cut a line off. The next process that opens the file then ends that
line and writes a header: half a line above a header is known to be one.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from functools import lru_cache
from time import monotonic_ns, time_ns
from typing import Final

from sim.reading.recording import HEADER, HEADERS

#: Bytes at which a file is full: more than a million requests.
MOST_BYTES: Final = 100_000_000

#: Longest path that is kept, in characters.
MOST_PATH: Final = 200

#: Lines between two looks at the size of the file, which other processes write to as well.
LINES: Final = 1000

_HEADER_LINE: Final = f"{HEADER}\n".encode()

#: The first line of a file that can be gone on with.
_FIRST_LINES: Final = tuple(f"{header}\n".encode() for header in HEADERS)


class RecordingFile:
    """A recording that this process and others append to; nothing of it is ever raised.

    It ends where the file is full, cannot be opened or written, or is no recording.

    Args:
        path: of the file, which is opened at the first line of each process.
        most_bytes: at which no more is written.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - pathlib is slow to import
        self._most = most_bytes
        self._forget()
        # Gunicorn forks its workers; asking for the process at each line would be a system call.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin as a process that has not opened the file."""
        self._opening = threading.Lock()
        self._descriptor: int | None = None  # -1: nothing is written any more
        self._lines = 0
        pid = os.getpid()
        self._with_wait = b"%%d,%%d,%%d,%%d,%d,%%b\n" % pid
        self._without_wait = b"%%d,%%d,%%d,,%d,%%b\n" % pid

    def line(self, began: int, took: int, cpu: int, wait: int | None, path: object) -> bytes:
        """The line of a request of this process.

        Args:
            began: when its thread, greenlet or task began it, ns since the epoch.
            took: ns from there to its end.
            cpu: ns that it computed meanwhile.
            wait: ms that it had waited before; None where that is not known.
            path: without its query; what is no text is written as none.
        """
        # Two clocks: that of CPU may be ahead.
        io = took - cpu if took > cpu else 0
        if wait is None:
            return self._without_wait % (began, io, cpu, as_cell(path))
        return self._with_wait % (began, io, cpu, wait, as_cell(path))

    def add(self, began: int, cpu: int, wait: int | None, path: object) -> None:
        """Append the line of a request that ends now.

        Args:
            began: ns of the clock that is never set.
            cpu: as of `line`.
            wait: the same.
            path: the same.
        """
        try:
            took = monotonic_ns() - began
            self.append(self.line(time_ns() - took, took, cpu, wait, path))
        except Exception:  # noqa: S110 - a request is worth more than its line
            pass

    def append(self, lines: bytes, number: int = 1) -> None:
        """Append lines, each with its end; ``number`` is how many there are."""
        try:
            descriptor = self._descriptor
            if descriptor is None:
                descriptor = self._open()
            if descriptor >= 0:
                written = os.write(descriptor, lines)
                self._lines += number
                if written < len(lines) or (self._lines >= LINES and self._is_full(descriptor)):
                    self._end()
        except Exception:
            # A request is worth more than its line.
            self._end()

    def _is_full(self, descriptor: int) -> bool:
        self._lines = 0
        return os.fstat(descriptor).st_size >= self._most

    def _end(self) -> None:
        # Not closed: another thread may be about to write, and to a client's socket that has got
        # the same number by then.
        self._descriptor = -1

    def _open(self) -> int:
        """Open the file for this process; -1 where it cannot be, or is full or no recording."""
        with self._opening:
            if self._descriptor is None:
                opened = -1
                try:
                    opened = self._opened_file()
                finally:
                    self._descriptor = opened
            return self._descriptor

    def _opened_file(self) -> int:
        # Not blocking, or opening a pipe would wait for whoever reads it.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o640)
        usable = False
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                # Of several workers that begin at once, one writes the header.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                usable = self._begun(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            if not usable:
                os.close(descriptor)
        return descriptor if usable else -1

    def _begun(self, descriptor: int) -> bool:
        """Whether the file can be gone on with; its last line is a whole one then."""
        size = os.fstat(descriptor).st_size
        if size >= self._most:
            return False
        begin = os.pread(descriptor, max(map(len, _FIRST_LINES)), 0)
        header = _HEADER_LINE
        if size:
            if not begin.startswith(_FIRST_LINES):
                return False
            cut = os.pread(descriptor, 1, size - 1) != b"\n"
            same = begin.startswith(_HEADER_LINE)
            header = b"\n" * cut + (_HEADER_LINE if cut or not same else b"")
        return os.write(descriptor, header) == len(header)


@lru_cache(maxsize=4096)
def as_cell(path: object) -> bytes:
    """A path as a cell of the file: without what would end the cell or the line."""
    if not isinstance(path, str):
        return b""
    text = path[:MOST_PATH].encode("ascii", "replace").decode()
    return "".join("?" if each == "," or not each.isprintable() else each for each in text).encode()
