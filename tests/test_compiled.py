"""The model predicts the same, byte for byte, compiled and interpreted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compiled import build, environment, why_not
from fingerprints import fingerprints

from sim.model import gil


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `fingerprints` prints of the compiled model."""
    if reason := why_not():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("compiled")
    build(directory)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "fingerprints.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment(directory),
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert Path(found["model"]).is_relative_to(directory)
    return found


def test_one_is_compiled_and_the_other_is_not(compiled: dict[str, Any]) -> None:
    assert not compiled["model"].endswith(".py")
    assert gil.__file__.endswith(".py")


def test_the_compiled_model_predicts_the_same(compiled: dict[str, Any]) -> None:
    interpreted = dict(fingerprints())
    runs = compiled["runs"]
    assert list(runs) == list(interpreted)
    assert not [name for name, found in runs.items() if found != interpreted[name]]
    # Not all of one kind: a fingerprint that is always the same would say nothing.
    assert len(set(runs.values())) > 0.9 * len(runs)
