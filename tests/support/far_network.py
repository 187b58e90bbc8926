"""Skips tests of clients that are far where this machine lets the rig make no network to them."""

from __future__ import annotations

from functools import cache

import pytest

from reference_app.rig.network import network
from sim.errors import ExperimentError
from sim.experiment import Host


def skip_without_network() -> None:
    """Skip the test, and say what the rig says, where it can make no network."""
    if reason := _refusal():
        pytest.skip(reason)


@cache
def _refusal() -> str:
    """What the rig says, asked once a process: a network takes the start of a relay."""
    try:
        with network(Host(clients="remote", rtt=1.0)):
            return ""
    except ExperimentError as error:
        return str(error)
