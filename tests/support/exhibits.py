"""A pytest plugin: what servers that wait more than they compute do, measured together.

Each of them takes seconds in which its server mostly sleeps, so many are measured at the same time,
those of one module beside those of another; then those that are judged by hundredths of a second,
fewer at a time. What measures alone follows when they are over: `kinds` says that their modules
come first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from host_costs import HostCosts
    from looks import Looks, Measured

Name = TypeVar("Name")
Subject = TypeVar("Subject")

#: The name by which a module says what it looks at: an `Exhibit`, or `Measurements`.
EXHIBIT = "EXHIBIT"

#: Servers that are measured at the same time: many, and few where `Measurements` says so.
MANY, FEW = 13, 6


@pytest.fixture(scope="session")
def all_together(
    request: pytest.FixtureRequest, host_costs: HostCosts
) -> Iterator[dict[str, Measured[Any, Any]]]:
    """What is seen of each module of this session that has an `EXHIBIT`, by its name."""
    # They import the model.
    from compiled_processes import kept_processes  # noqa: PLC0415
    from looks import Looks, Measured, Measurements, looks_together  # noqa: PLC0415

    chosen: defaultdict[str, list[pytest.Function]] = defaultdict(list)
    for item in request.session.items:
        if isinstance(item, pytest.Function) and hasattr(item.module, EXHIBIT):
            chosen[item.module.__name__].append(item)
    found: dict[str, Measured[Any, Any]] = {}
    exhibits = {name: getattr(tests[0].module, EXHIBIT) for name, tests in chosen.items()}
    if any(getattr(exhibit, "calibrated", False) for exhibit in exhibits.values()):
        _ = host_costs.measured  # with nothing beside
    with kept_processes():
        for name, exhibit in exhibits.items():
            if isinstance(exhibit, Measurements):
                exhibit.before()
                subjects = needed(exhibit.subjects, chosen[name])
                found[name] = Measured(replace(exhibit, subjects=subjects))
            else:
                costs = host_costs if exhibit.calibrated else None
                experiments = needed(exhibit.experiments, chosen[name])
                found[name] = Looks(replace(exhibit, experiments=experiments), costs)
    many = [each for each in found.values() if not each.few]
    few = [each for each in found.values() if each.few]
    with looks_together((many, MANY), (few, FEW)):
        yield found


def needed(
    subjects: Mapping[Name, Subject], tests: Sequence[pytest.Function]
) -> dict[Name, Subject]:
    """Those of the subjects that some of the chosen tests look at.

    A test that has all words of a name among its parameters looks at that one; one that has those
    of no name may look at any.
    """
    chosen: set[Name] = set()
    for test in tests:
        parameters = _words(*test.callspec.params.values()) if hasattr(test, "callspec") else set()
        its = {
            name
            for name in subjects
            if _words(*(name if isinstance(name, tuple) else (name,))) <= parameters
        }
        chosen |= its or subjects.keys()
    return {name: subject for name, subject in subjects.items() if name in chosen}


def _words(*values: object) -> set[str]:
    return {value for value in values if isinstance(value, str)}


@pytest.fixture(scope="module")
def looks(request: pytest.FixtureRequest, all_together: dict[str, Looks[Any]]) -> Looks[Any]:
    """The looks of this module."""
    return all_together[request.module.__name__]


@pytest.fixture(scope="module")
def measured(
    request: pytest.FixtureRequest, all_together: dict[str, Measured[Any, Any]]
) -> Measured[Any, Any]:
    """What is measured for this module."""
    return all_together[request.module.__name__]
