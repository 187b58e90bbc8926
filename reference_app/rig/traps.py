"""Traps that the rig sets for a running service: the next request crashes or hangs, no boot works.

The rig and the workers share a page of memory, which the rig's `TrapBoard` writes and theirs
reads. A trap names its worker by pid, as the kernel does. The service itself knows nothing of
this: only under the rig, and only where the experiment asks for it, Gunicorn is given
`reference_app.rig.trapped_app` or `trapped_asgi_app` in place of the service's own module.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading

#: Names the page's file descriptor in the environment of Gunicorn and its children.
TRAPS = "GUNICORN_RIG_TRAPS"

_HEADER = struct.Struct("=ii")  # exit code of every boot from now on, or 0; number of traps
_TRAP = struct.Struct("=iiid")  # pid, whether it crashes, requests that it hangs, s of each

#: Traps that a page holds; an experiment has at most 1000 disturbances.
MOST = 1000
_SIZE = _HEADER.size + MOST * _TRAP.size


class TrapBoard:
    """The shared page; make it with `create` in the rig and with `attach` in Gunicorn.

    Attributes:
        fd: of the memory, for the rig to hand down.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._page = mmap.mmap(fd, _SIZE)
        self._lock = threading.Lock()
        # A worker may be forked while another thread of its master holds the lock.
        os.register_at_fork(after_in_child=self._renew_lock)

    @classmethod
    def create(cls) -> TrapBoard:
        """A new page, without a trap."""
        fd = os.memfd_create("traps")
        os.truncate(fd, _SIZE)
        return cls(fd)

    @classmethod
    def attach(cls) -> TrapBoard:
        """The page that the rig has handed down to this process."""
        return cls(int(os.environ[TRAPS]))

    def close(self) -> None:
        """Let go of the memory."""
        self._page.close()
        os.close(self.fd)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _header(self) -> tuple[int, int]:
        exit_code, traps = _HEADER.unpack_from(self._page)
        return exit_code, traps

    # The rig's side.

    def set_boot_error(self, exit_code: int) -> None:
        """Let every worker that boots from now on exit with ``exit_code``."""
        _HEADER.pack_into(self._page, 0, exit_code, self._header()[1])

    def set_crash(self, pid: int) -> None:
        """Let the next request that worker ``pid`` starts end it."""
        self._add(pid, 1, 0, 0.0)

    def set_hang(self, pid: int, requests: int, seconds: float) -> None:
        """Let the next ``requests`` that worker ``pid`` starts hang for ``seconds`` s."""
        self._add(pid, 0, requests, seconds)

    def _add(self, pid: int, crash: int, hangs: int, seconds: float) -> None:
        exit_code, traps = self._header()
        _TRAP.pack_into(self._page, _HEADER.size + traps * _TRAP.size, pid, crash, hangs, seconds)
        # Last, as a worker may look at any time.
        _HEADER.pack_into(self._page, 0, exit_code, traps + 1)

    # The workers' side.

    def boot_error(self) -> int:
        """The exit code of a worker that boots now; 0 where it boots well."""
        return self._header()[0]

    def spring(self, pid: int) -> tuple[bool, float]:
        """Whether the request that worker ``pid`` starts now crashes it, and the s that it hangs.

        Of several hangs the one that was set last holds, as long as it lasts.
        """
        with self._lock:
            for number in reversed(range(self._header()[1])):
                place = _HEADER.size + number * _TRAP.size
                owner, crash, hangs, seconds = _TRAP.unpack_from(self._page, place)
                if owner != pid or not (crash or hangs):
                    continue
                _TRAP.pack_into(self._page, place, pid, 0, max(0, hangs - 1), seconds)
                return bool(crash), 0.0 if crash else seconds
        return False, 0.0
