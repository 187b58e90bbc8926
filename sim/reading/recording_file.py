"""The file of a recording, as one process appends to it.

A line is one ``write(2)`` to a file that is open to append, so a crash of the process loses none
that is over, and workers, reloads and restarts share the file. Where a crash of the machine or a
full disk has cut a line off, the next process that opens the file ends that line and writes a
header: half a line above a header is known to be one.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from functools import lru_cache
from typing import Final

from sim.reading.recording import FIRST, HEADER

#: Bytes at which a file is full: more than a million requests.
MOST_BYTES: Final = 100_000_000

#: Longest path that is kept, in characters.
MOST_PATH: Final = 200

#: Lines between two looks at the size of the file, which other processes write to as well.
LINES: Final = 1000

_HEADER_LINE: Final = f"{HEADER}\n".encode()


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
        self._pid = os.getpid()
        self._lines = 0

    def write(self, began: float, io: float, cpu: float, wait: float | None, path: str) -> None:
        """Append the line of a request.

        Args:
            began: when its thread, greenlet or task began it, s since the epoch.
            io: s that it waited since.
            cpu: s that it computed since.
            wait: s that it had waited before; None where that is not known.
            path: without its query.
        """
        try:
            descriptor = self._descriptor
            if descriptor is None:
                descriptor = self._open()
            if descriptor >= 0:
                waited = b"" if wait is None else b"%.3f" % wait
                cells = (began, io, cpu, waited, self._pid, _written(path))
                line = b"%.6f,%.6f,%.6f,%b,%d,%b\n" % cells
                self._lines += 1
                full = self._lines % LINES == 0 and os.fstat(descriptor).st_size >= self._most
                if os.write(descriptor, line) < len(line) or full:
                    self._end()
        except Exception:
            # A request is worth more than its line.
            self._end()

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
        begin = os.pread(descriptor, len(_HEADER_LINE), 0)
        header = _HEADER_LINE
        if size:
            if not begin.startswith(f"{FIRST},".encode()):
                return False
            cut = os.pread(descriptor, 1, size - 1) != b"\n"
            header = b"\n" * cut + (_HEADER_LINE if cut or begin != _HEADER_LINE else b"")
        return os.write(descriptor, header) == len(header)


@lru_cache(maxsize=4096)
def _written(path: str) -> bytes:
    """A path as a cell of the file: without what would end the cell or the line."""
    kept = path[:MOST_PATH].encode("ascii", "replace").decode()
    return "".join("?" if each == "," or not each.isprintable() else each for each in kept).encode()
