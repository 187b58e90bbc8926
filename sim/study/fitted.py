"""Every number of the model that was fitted, and where each comes from.

A probability here is an admission: the mechanism behind it is not in the model. What each stands
for, and the counts that it was fitted to, is in the comment at its definition. How much published
figures depend on it is in `sim.study.sensitivity`.
"""

from __future__ import annotations

from typing import NamedTuple

#: Machines on which numbers were fitted.
EPYC = "AMD EPYC, 2 virtual cores, Linux 6.18"
XEON = "Intel Xeon, 2 virtual cores, Linux 6.18"

#: Where a number is defined that `calibrate` may learn: a field of `Costs`, not of a module.
COSTS = "sim.experiment.costs"

RACE = "sim.model.linux.accept_race"
SOCKET = "sim.model.linux.listening_socket"
SCHEDULER = "sim.model.linux.scheduler"
GIL = "sim.model.cpython.gil"
GTHREAD = "sim.model.gunicorn.gthread"
WORKER = "sim.model.gunicorn.worker"


class Fitted(NamedTuple):
    """One fitted number.

    Attributes:
        topic: what of the model it belongs to.
        name: of the constant or of the field of `Costs`.
        module: where it is defined.
        source: what it was fitted to.
        machine: on which it was.
        calibrated: whether ``python -m reference_app calibrate`` learns it anew.
        probability: whether it may not be above 1.
    """

    topic: str
    name: str
    module: str
    source: str
    machine: str = EPYC
    calibrated: bool = False
    probability: bool = True


_TRACES = "scheduler traces of 11,000 connections to 2, 4 and 8 workers"
_SHARES = "shares of 2, 3 and 4 workers at two loads"
_WAITING = "70 requests each beside 1, 2, 3 and 5 threads that compute"
_STARTS = "requests to 2, 4 and 8 workers beside processes that compute"
_BOOTS = "first and second connections after a boot"

FITTED: tuple[Fitted, ...] = (
    Fitted("accept race", "REST", RACE, _TRACES, probability=False),
    Fitted("accept race", "WARMER", RACE, _TRACES, probability=False),
    Fitted("accept race", "COLDER", RACE, _TRACES),
    Fitted("accept race", "DELAY", RACE, _TRACES),
    Fitted("accept race", "OWED_AFTER_FINISH", RACE, _TRACES),
    Fitted("accept race", "OWED_AFTER_RELAY", RACE, _TRACES),
    Fitted("accept race", "OWED_AFTER_ACCEPT", RACE, _TRACES),
    Fitted("accept race", "STAYING_OWED_AFTER_ACCEPT", RACE, _TRACES),
    Fitted("accept race", "STAYS_AFTER_FINISH", RACE, _TRACES),
    Fitted("accept race", "STAYS_AFTER_ACCEPT", RACE, _TRACES),
    Fitted("accept race", "APART_AFTER_FINISH", RACE, _SHARES, XEON),
    Fitted("accept race", "APART_OWED_AFTER_FINISH", RACE, _SHARES, XEON),
    Fitted("accept race", "APART_OWED_AFTER_ACCEPT", RACE, _SHARES, XEON),
    Fitted("accept race", "APART_FIRST_OWED", RACE, _SHARES, XEON),
    Fitted("accept race", "APART_OWED", RACE, _SHARES, XEON),
    Fitted("accept race", "APART_OVERTAKE", RACE, _SHARES, XEON),
    Fitted("accept race", "COPYING", RACE, _BOOTS, probability=False),
    Fitted("accept race", "CLIENT_LEAVES", SOCKET, "scheduler traces", probability=False),
    Fitted("accept race", "wake_first", COSTS, _SHARES),
    Fitted("accept race", "wake_owed", COSTS, _SHARES),
    Fitted("accept race", "wake_affine", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_late", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_overtake", COSTS, _SHARES),
    Fitted("accept race", "wake_warm", COSTS, _SHARES, calibrated=True),
    Fitted("scheduler", "KEEP", SCHEDULER, "1,400 wake-ups of the load generator"),
    Fitted("scheduler", "PASSED", SCHEDULER, _STARTS),
    Fitted("scheduler", "LAST", SCHEDULER, "traces of processes that sleep and compute"),
    Fitted("scheduler", "BALANCE", SCHEDULER, "traces of processes that sleep and compute"),
    Fitted("scheduler", "wake_idle", COSTS, "traces of processes that sleep and compute"),
    Fitted(
        "scheduler", "pull", COSTS, "traces of processes that sleep and compute", probability=False
    ),
    Fitted("GIL", "SOON", GIL, "turns of Gunicorn's own steps", probability=False),
    Fitted("GIL", "STEALS", GIL, _WAITING),
    Fitted("GIL", "TAKEN", GTHREAD, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_ONE", GTHREAD, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_SEVERAL", GTHREAD, _WAITING),
    Fitted("GIL", "CROWDED", GTHREAD, "requests to 2 and 4 workers while another computes"),
    Fitted("steps", "AT_ONCE", GTHREAD, "CPU of requests on kept connections"),
    Fitted("pages", "PAGES", WORKER, "first requests after a boot, 5.2 to 7.6 ms"),
    Fitted("pages", "NOT_PRELOADED", WORKER, "first requests with and without preload_app"),
    Fitted("life", "SLOWEST_END", WORKER, "exits of one service, 66 to 145 ms", probability=False),
)
