"""Files of predictions that pages show: JSON documents that a command writes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError


def read(
    path: Path, key: Callable[[dict[str, Any]], object], today: object, *, others: str, again: str
) -> dict[str, Any]:
    """A document that is of what there is today.

    Args:
        path: of the file.
        key: what of a document says of what it is.
        today: what that is today.
        others: what a document of another day has, and where today's are.
        again: command that writes the file.

    Raises:
        ExperimentError: when it cannot be read, or is not of today.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = key(document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(
            f"{path}: cannot be read ({error}); expected what {again} writes"
        ) from None
    if found != today:
        raise ExperimentError(f"{path}: has other {others}; expected those of today: {again}")
    return document
