"""Whether the Service has the pod: one byte that the rig writes and the load generator reads.

The load generator stands for clients behind a Service, whose rules (kube-proxy's) refuse a new
connection while no pod is ready.
"""

from __future__ import annotations

import mmap
import os


class Endpoints:
    """The shared byte; make it with `create` in the rig and with `attach` in the load generator.

    Attributes:
        fd: of the memory, for the rig to hand down.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._page = mmap.mmap(fd, 1)

    @classmethod
    def create(cls) -> Endpoints:
        """The Service has the pod."""
        fd = os.memfd_create("endpoints")
        os.truncate(fd, 1)
        endpoints = cls(fd)
        endpoints.set_ready(True)
        return endpoints

    @classmethod
    def attach(cls, fd: int) -> Endpoints:
        """Those that the rig has handed down to this process."""
        return cls(fd)

    def close(self) -> None:
        """Let go of the memory."""
        self._page.close()
        os.close(self.fd)

    def set_ready(self, ready: bool) -> None:
        """Put the pod into the Service, or take it out."""
        self._page[0] = ready

    def ready(self) -> bool:
        """Whether the Service has the pod."""
        return bool(self._page[0])
