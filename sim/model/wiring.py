"""What all processes of one simulated service share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

from sim.experiment import Experiment
from sim.experiment.release import Release
from sim.model.caches.host_steps import HostSteps
from sim.model.client import Clients
from sim.model.engine.clock import Clock
from sim.model.launchdarkly import FlagService
from sim.model.linux.cpu_limit import CpuLimit
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.linux.scheduler import Cores
from sim.model.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts that a master and its workers are wired to.

    Attributes:
        experiment: the experiment that is predicted.
        release: of Gunicorn.
        clock: the model's time.
        cores: of the host.
        cpu_limit: of the server's processes; None without.
        accepts: what an event loop accepts, over all workers.
        starts: what begins a request, over all workers.
        ends: what ends one.
        clients: the load generator.
        recorder: where everything is noted.
        flag_service: LaunchDarkly.
        boot_orders: numbers the workers of all masters, from 1.
        registrations: numbers the moments at which a listener was registered with a poller.
        listen: opens another listening socket.
        stream: the random stream of one purpose.
    """

    experiment: Experiment
    release: Release
    clock: Clock
    cores: Cores
    cpu_limit: CpuLimit | None
    accepts: HostSteps
    starts: HostSteps
    ends: HostSteps
    clients: Clients
    recorder: Recorder
    flag_service: FlagService
    boot_orders: count[int]
    registrations: count[int]
    listen: Callable[[], ListeningSocket]
    stream: Callable[[str], Random]
