"""Which tests may run beside which: every file of tests is of one kind.

Goal: the machine is never idle while tests wait, and never busy while they measure. Method: tests
that compute and tests that serve run beside each other, the former with the lowest priority; tests
that measure follow, one after the other, with nothing beside them.

In a session of all tests one process has the compiled model, where there is one, for the tests that
only read what the model says. `tests/model/test_compiled.py` holds that it says the same.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import Enum
from pathlib import PurePath

#: Of processes that compute beside servers.
NICENESS = 19

#: Environment variable: number of the process of a session that has the compiled model.
COMPILED = "TESTS_COMPILED_PROCESS"


class Kind(Enum):
    """What tests do to the machine, and mind of what others do to it.

    Attributes:
        COMPUTES: starts no Gunicorn and judges no time; any number may run beside each other.
        PREDICTS: the same, and neither patches the model nor is measured by a tracer.
        BROWSES: predicts, and drives a browser, which takes the cores whatever its priority is: in
            a session of its own the kernel gives it as much as all others have together. So it
            waits until no test serves.
        SERVES: judges times by half seconds and more; waits more than it computes.
        MEASURES: judges times by milliseconds, and has the machine to itself.
    """

    COMPUTES = "computes"
    PREDICTS = "predicts"
    BROWSES = "browses"
    SERVES = "serves"
    MEASURES = "measures"


#: What starts no Gunicorn and judges no time.
COMPUTING = frozenset({Kind.COMPUTES, Kind.PREDICTS, Kind.BROWSES})

#: Folders of such tests, and the kind of their files.
FOLDERS = {
    "model": Kind.COMPUTES,
    "site": Kind.PREDICTS,
    "tools": Kind.COMPUTES,
    "unit": Kind.COMPUTES,
}

#: Files of `tests/model` that predict.
PREDICTING = frozenset(
    f"test_{name}" for name in ("faq_rules", "learnt_costs", "model_theory", "rank_test", "sizing")
)

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
            "check_settings",
            "cli",
            "container",
            "disturber",
            "event_loops",
            "killed",
            "measure",
            "memory",
            "network",
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


#: Files that take longest, first: begun late, they would run when nothing is left beside them.
LONG = tuple(
    f"test_{name}"
    for name in ("compiled", "site", "playground_page", "examples", "rank_test", "event_loop")
)


#: Files of `tests/site` that browse.
BROWSING = frozenset(
    f"test_{name}"
    for name in (
        *("moving_picture_in_browser", "playground_memory", "playground_page"),
        *("report_in_browser", "site"),
    )
)


#: Files of `tests/real` with servers that are measured together (see `exhibits`): before those that
#: measure alone, or they would not be alone.
TOGETHER = frozenset(
    f"test_{name}"
    for name in (
        *("check_findings", "class_trouble", "connections", "far_clients", "measured_past"),
        *("overload", "probes", "reality", "recorded_times", "rollout", "routes_measured"),
        "trouble",
    )
)


def place(path: PurePath) -> int:
    """Orders files: none of `LONG` is begun late, and none of `TOGETHER` among others."""
    if path.stem in LONG:
        return LONG.index(path.stem)
    return len(LONG) + (path.stem not in TOGETHER)


def kind_of(path: PurePath) -> Kind:
    """The kind of the tests in a file."""
    if path.stem in BROWSING:
        return Kind.BROWSES
    if path.stem in PREDICTING:
        return Kind.PREDICTS
    if path.parent.name in FOLDERS:
        return FOLDERS[path.parent.name]
    return Kind.SERVES if path.stem in SERVING else Kind.MEASURES


def compiled_process() -> int | None:
    """Number of the process that has the compiled model; None in a session without one."""
    number = os.environ.get(COMPILED)
    return None if number is None else int(number)


def kinds_for(
    number: int, processes: int, present: Collection[Kind], compiled: int | None = None
) -> tuple[Kind, ...]:
    """The kinds of tests that a process runs, in this order.

    Args:
        number: of the process, from 0.
        processes: there are so many.
        present: kinds of all tests of the session.
        compiled: number of the process that has the compiled model; None for none.
    """
    if number == compiled:
        return (Kind.PREDICTS, Kind.BROWSES)
    order = (Kind.SERVES, Kind.COMPUTES, Kind.PREDICTS, Kind.BROWSES)
    beside = [kind for kind in order if kind in present]
    if Kind.SERVES in beside and len(beside) > 1 and processes > 1:
        serving = processes // 2
        beside = [kind for kind in beside if (kind is Kind.SERVES) == (number < serving)]
    measures = [Kind.MEASURES] if number == 0 and Kind.MEASURES in present else []
    return (*beside, *measures)
