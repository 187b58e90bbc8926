"""A worker class that a ``gunicorn.conf.py`` defines, to configure uvicorn's worker.

`UvicornWorker` passes its ``CONFIG_KWARGS`` to `uvicorn.Config` last, so that they win
(`UvicornWorker.__init__`, uvicorn_worker/_workers.py)::

    class LimitedWorker(UvicornWorker):
        CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "limit_concurrency": 100}

    worker_class = LimitedWorker

Such a class is the one that it inherits from, with other settings. One that defines anything else
is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sim.errors import ExperimentError
from sim.experiment.server import LIMIT_CONCURRENCY
from sim.experiment.worker_class import TRAITS

#: What a subclass may define: uvicorn's settings.
CONFIG_KWARGS: Final = "CONFIG_KWARGS"

#: Arguments of `uvicorn.Config` that replace a setting of Gunicorn's which the model honours.
REPLACED: Final[Mapping[str, str]] = {
    "backlog": "backlog",
    "limit_max_requests": "max_requests",
    "timeout_keep_alive": "keepalive",
}


class Subclass(NamedTuple):
    """What a subclass of uvicorn's worker says.

    Attributes:
        base: path of the class that it inherits from.
        settings: fields of `Server` that it sets.
        others: arguments of `uvicorn.Config` that it changes, and that are not modelled.
    """

    base: str
    settings: Mapping[str, Any]
    others: tuple[str, ...]


def read(worker_class: object) -> Subclass | None:
    """What a subclass says; None for what is none, or defines more than ``CONFIG_KWARGS``.

    Raises:
        ExperimentError: when its ``CONFIG_KWARGS`` are no settings, or one has no number.
    """
    if not isinstance(worker_class, type):
        return None
    parents = worker_class.__mro__
    known = [
        number
        for number, parent in enumerate(parents)
        if _path(parent) in TRAITS["uvicorn"].spellings
    ]
    if not known or known[0] == 0:
        return None
    own, base = parents[: known[0]], parents[known[0]]
    if any(not _is_usual(name) for parent in own for name in vars(parent)):
        return None
    name = worker_class.__qualname__
    usual, changed = getattr(base, CONFIG_KWARGS), getattr(worker_class, CONFIG_KWARGS)
    if not isinstance(changed, Mapping):
        raise ExperimentError(f"{name}.{CONFIG_KWARGS} is {changed!r}; expected a dict")
    differing = {key: value for key, value in changed.items() if usual.get(key, None) != value}
    settings: dict[str, Any] = {}
    for key in (LIMIT_CONCURRENCY, *REPLACED):
        if key in differing:
            value = differing.pop(key)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ExperimentError(
                    f"{name}.{CONFIG_KWARGS}[{key!r}] is {value!r}; expected a whole number"
                )
            settings[REPLACED.get(key, key)] = value
    return Subclass(_path(base), settings, tuple(sorted(map(str, differing))))


def _path(parent: type) -> str:
    return f"{parent.__module__}.{parent.__qualname__}"


def _is_usual(name: str) -> bool:
    """Whether any class has it, or it configures uvicorn."""
    return name == CONFIG_KWARGS or (name.startswith("__") and name not in ("__init__", "__new__"))


def notice(location: str, subclass: Subclass) -> str:
    """A sentence about what is not modelled of a subclass."""
    return (
        f"{location}: not modelled: {', '.join(subclass.others)} of the worker class's "
        f"{CONFIG_KWARGS}; uvicorn's worker is predicted with asyncio's own loop and h11"
    )
