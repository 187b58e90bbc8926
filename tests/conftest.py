"""What all tests share: which kind each is of, and the costs of the machine that they run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from sim.compiled import INTERPRETED
from sim.experiment.release import NEWEST

if TYPE_CHECKING:
    from host_costs import HostCosts

    from reference_app.rig.releases import Gunicorn

# What is judged is what one reads, and may be patched; `test_compiled.py` holds the compiled model
# to it. So nothing may be imported before this that imports the model.
os.environ[INTERPRETED] = "1"

# Gunicorn and we read them, and the experiments of the tests are without.
for _name in ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"):
    os.environ.pop(_name, None)

# Other tests, and other people's machines, may have the processor while an example is tried.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

#: Fixtures of `tests/site`.
pytest_plugins = ("built_site",)

#: Folders whose tests start no Gunicorn and judge no time: they may run beside each other.
COMPUTES = frozenset({"model", "site", "unit"})

#: Files of `tests/real` whose tests judge times by half a second and more, and processes by whose
#: children they are: three at a time may run.
SERVES = frozenset(
    f"test_{name}"
    for name in (
        *("faq_balance", "faq_launchdarkly", "faq_logs", "faq_sockets", "faq_start", "faq_threads"),
        *(
            "abandoned",
            "access_log",
            "cli",
            "disturber",
            "measure",
            "event_loops",
            "proxies",
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

#: Files of `tests/unit` about `sim.analysis`, which CI runs with a tracer.
TRACED = frozenset(
    f"test_{name}"
    for name in (
        *(
            "binding",
            "capacity",
            "course",
            "gunicorn_log",
            "host_cpu_limit",
            "kubelet",
            "lives",
            "losses",
        ),
        *("picture", "recovery", "restarts", "routes", "summary", "tally", "theory", "visits"),
    )
)

#: Files of `tests/model` that it runs without: they predict for long, or compiled.
NOT_TRACED = frozenset(
    f"test_{name}"
    for name in ("compiled", "faq_rules", "learnt_costs", "model_theory", "rank_test")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skips``, for machines that have all that a test may ask for, and other options."""
    parser.addoption("--no-skips", action="store_true", help="fail if any test was skipped")
    parser.addoption(
        "--play-seconds",
        type=float,
        default=20.0,
        help="s of play after which the playground's memory is judged (default: 20)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by folder and file; those that neither compute nor serve measure."""
    for item in items:
        if _is_covered(item):
            item.add_marker("covered")
        if item.path.parent.name in COMPUTES:
            item.add_marker("computes")
        elif item.path.stem in SERVES:
            item.add_marker("serves")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session with ``--no-skips`` in which a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and exitstatus == 0:
        skipped = reporter.stats.get("skipped", [])
        if skipped:
            reporter.write_line(f"error: {len(skipped)} tests were skipped; expected none")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def play_seconds(request: pytest.FixtureRequest) -> float:
    """S of play after which the playground's memory is judged."""
    return float(request.config.getoption("--play-seconds"))


def _is_covered(item: pytest.Item) -> bool:
    """Whether CI measures what the test covers: no property test, whose examples are chance."""
    folder, name = item.path.parent.name, item.path.stem
    named = name in TRACED if folder == "unit" else folder == "model" and name not in NOT_TRACED
    return named and not getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


@pytest.fixture(scope="session")
def host_costs() -> HostCosts:
    """The costs of the machine that the tests run on."""
    from host_costs import HostCosts  # noqa: PLC0415 - see above

    return HostCosts()


#: The release that the FAQ was written about.
FAQ_RELEASE = "23.0.0"


@pytest.fixture(scope="module", params=[NEWEST, FAQ_RELEASE])
def gunicorn(request: pytest.FixtureRequest) -> Gunicorn:
    """The newest release, and the one that the FAQ was written about."""
    from release_of import release_of  # noqa: PLC0415 - see above

    return release_of(request.param)


@pytest.fixture
def bounded() -> Iterator[None]:
    """A minute for the test; then the model, which does not end, is stopped."""
    from bounded_time import bounded_time  # noqa: PLC0415 - as above

    with bounded_time():
        yield
