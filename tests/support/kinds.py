"""Which tests may run beside which: every file of tests is of one kind.

Goal: the machine is never idle while tests wait, and never busy while they measure. Method: tests
that compute and tests that serve run beside each other, the former with the lowest priority; tests
that measure follow, one after the other, with nothing beside them.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from pathlib import PurePath


class Kind(Enum):
    """What tests do to the machine, and mind of what others do to it.

    Attributes:
        COMPUTES: starts no Gunicorn and judges no time; any number may run beside each other.
        SERVES: judges times by half seconds and more; waits more than it computes.
        MEASURES: judges times by milliseconds, and has the machine to itself.
    """

    COMPUTES = "computes"
    SERVES = "serves"
    MEASURES = "measures"


#: Folders whose tests compute.
COMPUTING = frozenset({"model", "site", "unit"})

#: Files of `tests/real` that serve.
SERVING = frozenset(
    f"test_{name}"
    for name in (
        *("faq_balance", "faq_launchdarkly", "faq_logs", "faq_sockets", "faq_start", "faq_threads"),
        *(
            "abandoned",
            "access_log",
            "asgi_service",
            "calibrate_needs",
            "class_trouble",
            "cli",
            "container",
            "disturber",
            "event_loops",
            "measure",
            "memory",
            "one_core",
            "probe_refusals",
            "proxies",
            "recording",
            "release_behaviours",
            "release_predictions",
            "releases_rig",
            "route_mix",
            "server",
            "service",
            "silent_clients",
            "timeline_cli",
            "unix_server",
        ),
        *("validation_run", "written_log"),
    )
)

#: Files whose tests share nothing that takes long to make, and take long together: each test of
#: them may run in another process.
SPREAD = frozenset(
    {"test_compiled", "test_model_theory", "test_release_behaviours", "test_study_cli"}
)


def kind_of(path: PurePath) -> Kind:
    """The kind of the tests in a file."""
    if path.parent.name in COMPUTING:
        return Kind.COMPUTES
    return Kind.SERVES if path.stem in SERVING else Kind.MEASURES


def kinds_for(number: int, processes: int, present: Collection[Kind]) -> tuple[Kind, ...]:
    """The kinds of tests that a process runs, in this order.

    Args:
        number: of the process, from 0.
        processes: there are so many.
        present: kinds of all tests of the session.
    """
    beside = [kind for kind in (Kind.SERVES, Kind.COMPUTES) if kind in present]
    if len(beside) > 1 and processes > 1:
        serving = (processes + 1) // 2
        beside = [Kind.SERVES if number < serving else Kind.COMPUTES]
    measures = [Kind.MEASURES] if number == 0 and Kind.MEASURES in present else []
    return (*beside, *measures)
