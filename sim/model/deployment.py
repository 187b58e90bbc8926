"""A Deployment of one pod, and the Service that clients connect to.

::

    Clients --connect--> Deployment.serving --> Pod 1, and from a rollout on Pod 2

    rollout: pod 2 is created --boots--> ready --> pod 1 is deleted: preStop, SIGTERM, SIGKILL
                                           |
                                           +--endpoints s--> the Service has pod 2 and not pod 1

Read in Kubernetes' documentation: "Deployments", "Rolling Update Deployment" (with one replica,
``maxSurge`` of 25 % is one pod more, and ``maxUnavailable`` none less); "Pod Lifecycle",
"Termination of Pods". Both changes of the Service's list take the same time, so they are one here.
Controllers take no time, and both pods share the host's cores.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from simpy import Event

from sim.experiment.disturbance import Rollout
from sim.model.kubelet import Kubelet
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: How events name the Service.
SERVICE: Final = "service"


class Deployment:
    """The pods, each with what a kubelet does to it.

    Constants: ``wiring``, ``new_kubelet`` (of a new pod, whose container does not run yet).

    State:
        kubelets: of all pods so far.
        serving: that of the pod to which clients connect, if it is ready.
    """

    def __init__(
        self, wiring: Wiring, first: Kubelet, new_kubelet: Callable[[int], Kubelet]
    ) -> None:
        self.wiring = wiring
        self.new_kubelet = new_kubelet
        self.kubelets = [first]
        self.serving = first

    def choose_listener(self) -> ListeningSocket | None:
        """The socket that a client's new connection finds.

        The rules of kube-proxy for a Service without ready endpoints reject it.
        """
        return self.serving.pod.choose_listener() if self.serving.ready else None

    def roll_out(self, rollout: Rollout) -> None:
        """Begin a rollout now."""
        self.wiring.clock.process(self._roll_out(rollout))

    def _roll_out(self, rollout: Rollout) -> Generator[Event, object, None]:
        clock, recorder = self.wiring.clock, self.wiring.recorder
        old, new = self.kubelets[-1], self.new_kubelet(len(self.kubelets) + 1)
        self.kubelets.append(new)
        new.create()
        yield new.available
        old.delete(rollout.pre_stop, rollout.termination_grace_period)
        yield clock.timeout(rollout.endpoints)
        self.serving = new
        recorder.event(clock.time, "switched", SERVICE)
