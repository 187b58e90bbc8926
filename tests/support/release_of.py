"""A release of Gunicorn for a test, installed once."""

from __future__ import annotations

import pytest

from reference_app.rig.releases import Gunicorn, quietly
from sim.errors import ExperimentError


def release_of(number: str) -> Gunicorn:
    """That release; the test is skipped where no package index can be reached."""
    try:
        return quietly(number)
    except ExperimentError as error:
        pytest.skip(str(error))
