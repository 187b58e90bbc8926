"""A pytest plugin: what servers that wait more than they compute do, measured together.

Each of them takes seconds in which its server mostly sleeps, so many are measured at the same time,
those of one module beside those of another. What measures alone follows when they are over: `kinds`
says that their modules come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from host_costs import HostCosts
    from looks import Looks, Measured

#: The name by which a module says what it looks at: an `Exhibit`, or `Measurements`.
EXHIBIT = "EXHIBIT"

#: Servers that are measured at the same time.
AT_ONCE = 7


@pytest.fixture(scope="session")
def all_together(
    request: pytest.FixtureRequest, host_costs: HostCosts
) -> Iterator[dict[str, Measured[Any, Any]]]:
    """What is seen of each module of this session that has an `EXHIBIT`, by its name."""
    from looks import Looks, Measured, Measurements, looks_together  # noqa: PLC0415 - the model

    modules = {
        item.module.__name__: item.module
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item.module, EXHIBIT)
    }
    found: dict[str, Measured[Any, Any]] = {}
    for name, module in modules.items():
        exhibit = getattr(module, EXHIBIT)
        if isinstance(exhibit, Measurements):
            exhibit.before()
            found[name] = Measured(exhibit.measure, exhibit.experiments)
        else:
            costs = host_costs if exhibit.calibrated else None
            found[name] = Looks(exhibit.sides, exhibit.experiments, costs)
    with looks_together([*found.values()], AT_ONCE):
        yield found


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
