"""What comes out: one row a request, one row a process event.

A `Run` is the same whether `sim.model` predicted it or `reference_app` measured it. This package
imports the standard library and `sim.experiment` only.
"""

from sim.run.file import SCHEMA, load, save
from sim.run.requests import (
    BAD_GATEWAY,
    ERROR_5XX,
    GATEWAY_TIMEOUT,
    OK,
    OUTCOMES,
    REFUSED,
    RESET,
    TIMEOUT,
    UNFINISHED,
    Outcome,
    Request,
    Requests,
)
from sim.run.run import Census, CpuStat, Memory, Probed, ProcessEvent, QueueLength, Run, Source

__all__ = [
    "BAD_GATEWAY",
    "ERROR_5XX",
    "GATEWAY_TIMEOUT",
    "OK",
    "OUTCOMES",
    "REFUSED",
    "RESET",
    "SCHEMA",
    "TIMEOUT",
    "UNFINISHED",
    "Census",
    "CpuStat",
    "Memory",
    "Outcome",
    "Probed",
    "ProcessEvent",
    "QueueLength",
    "Request",
    "Requests",
    "Run",
    "Source",
    "load",
    "save",
]
