"""The host of an experiment in a few words."""

from __future__ import annotations

from sim.reports.number_text import count


def host_text(cores: int, cpu_limit: float | None, rtt: float | None) -> str:
    """The host: ``2 cores``, with its CPU limit and its clients' round trip (s) where it has them.

    Args:
        cores: that the machine has.
        cpu_limit: cores' worth of CPU that the server may use; None without a limit.
        rtt: s that a packet takes to the clients and back; None for none.
    """
    text = count(cores, "core")
    if cpu_limit is not None:
        text += f", CPU limit {cpu_limit:g}"
    if rtt:
        text += f", {1000 * rtt:g} ms to the clients and back"
    return text
