"""What all tests share: which kind each is of, and the costs of the machine that they run on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from sim.compiled import INTERPRETED

if TYPE_CHECKING:
    from host_costs import HostCosts

# What is judged is what one reads, and may be patched; `test_compiled.py` holds the compiled model
# to it. So nothing may be imported before this that imports the model.
os.environ[INTERPRETED] = "1"

# Gunicorn and we read them, and the experiments of the tests are without.
for _name in ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"):
    os.environ.pop(_name, None)

# Other tests, and other people's machines, may have the processor while an example is tried.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

#: Files whose tests start no Gunicorn and judge no time, so that they may run beside each other:
#: `.ci/run` does so with all that is marked ``computes``.
COMPUTES = frozenset(
    f"test_{name}"
    for name in (
        *("arguments", "bad_input", "cached_pace", "candidates", "capacity", "chrome_trace"),
        *("claims", "comparison", "compiled", "convoy", "cores", "dask", "disturbance"),
        *("document", "examples", "executors", "experiment_file", "faq_rules", "gil"),
        *(
            "gunicorn_config",
            "handshake",
            "idle_settings",
            "in_passing",
            "known_log_formats",
            "life",
            "losses",
        ),
        *("model", "model_theory", "pace", "parameter", "progress_line", "recovery", "release"),
        *("report", "restarts", "run", "sequential", "site", "site_data", "site_validation"),
        *("sizing", "sketch", "statements", "store", "study_cli", "summary", "tally", "theory"),
        *("timeline", "traffic", "unix_socket", "validation", "validation_grid", "wakeup"),
        *("walls",),
    )
)

#: Files whose tests start servers, but judge times by half a second and more, and processes by
#: whose children they are: two at a time may do so.
SERVES = frozenset(
    f"test_{name}"
    for name in (
        *("access_log", "cli", "faq_launchdarkly", "faq_logs", "faq_sockets", "faq_start"),
        *(
            "abandoned",
            "releases_rig",
            "server",
            "service",
            "silent_clients",
            "timeline_cli",
            "unix_server",
        ),
        *("validation_run",),
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `COMPUTES` and of `SERVES`; what has no mark measures."""
    for item in items:
        if item.path.stem in COMPUTES:
            item.add_marker("computes")
        elif item.path.stem in SERVES:
            item.add_marker("serves")


@pytest.fixture(scope="session")
def host_costs() -> HostCosts:
    """The costs of the machine that the tests run on."""
    from host_costs import HostCosts  # noqa: PLC0415 - see above

    return HostCosts()
