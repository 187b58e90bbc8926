"""Which pod the Service has: some bytes that the rig writes and the load generator reads.

The load generator stands for clients behind a Service, whose rules (kube-proxy's) refuse a new
connection while no pod is ready.
"""

from __future__ import annotations

import mmap
import os

#: Pods that there may be: the first, and the one that a rollout creates.
PODS = 2


class Endpoints:
    """The shared bytes: whether each pod is ready, and the place of the one that clients use.

    Make it with `create` in the rig and with `attach` in the load generator.

    Attributes:
        fd: of the memory, for the rig to hand down.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._page = mmap.mmap(fd, PODS + 1)

    @classmethod
    def create(cls) -> Endpoints:
        """The Service has the first pod."""
        fd = os.memfd_create("endpoints")
        os.truncate(fd, PODS + 1)
        endpoints = cls(fd)
        endpoints.set_ready(True, pod=1)
        endpoints.switch(pod=1)
        return endpoints

    @classmethod
    def attach(cls, fd: int) -> Endpoints:
        """Those that the rig has handed down to this process."""
        return cls(fd)

    def close(self) -> None:
        """Let go of the memory."""
        self._page.close()
        os.close(self.fd)

    def set_ready(self, ready: bool, *, pod: int) -> None:
        """Say whether the Service may have the pod with this number, from 1."""
        self._page[pod - 1] = ready

    def switch(self, *, pod: int) -> None:
        """Let the Service have this pod, and no other."""
        self._page[PODS] = pod

    def pod(self) -> int | None:
        """The number of the pod that the Service has; None where that is not ready."""
        pod = self._page[PODS]
        return pod if self._page[pod - 1] else None
