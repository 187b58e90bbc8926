"""What compose.yaml and the Dockerfile start exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

REFERENCE_APP = Path(__file__).parents[2] / "reference_app"


def test_modules_that_containers_start_exist() -> None:
    text = "".join((REFERENCE_APP / name).read_text() for name in ("compose.yaml", "Dockerfile"))
    modules = re.findall(r'"(reference_app[\w.]+)', text)
    assert len(modules) >= 2
    for module in modules:
        assert importlib.util.find_spec(module.partition(":")[0]) is not None, module
