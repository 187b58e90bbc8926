"""The answer as a ``gunicorn.conf.py`` that says where its numbers come from."""

from __future__ import annotations

import textwrap
from dataclasses import fields
from itertools import chain
from pathlib import Path

from sim.errors import ExperimentError
from sim.experiment import LIMIT_CONCURRENCY, RELEASE, Experiment, Server
from sim.experiment.release_notices import limit_notices
from sim.study.candidates import SEARCHED
from sim.study.formatting import ms, traffic
from sim.study.sizing import Answer, Choice
from sim.study.sizing_report import headline
from sim.whole_file import unwritable, whole_file

#: What each searched setting is for.
ABOUT = {
    "worker_class": "sync: one request at a time in each worker; gthread: one in each thread; all "
    "others: an event loop in each worker, for as many as wait.",
    "workers": "Processes. Each has a GIL of its own, so as many can compute at once.",
    "threads": "Requests that each worker runs at once.",
    "worker_connections": "Connections that a gthread worker holds at most, waiting ones included.",
    "reuse_port": "A listening socket for each worker, in place of one for all.",
    "max_requests": "Requests after which a worker restarts; 0 is never.",
}


def refuse_existing(path: Path) -> None:
    """Refuse a ``path`` that exists: no configuration is overwritten.

    Raises:
        ExperimentError: naming it.
    """
    try:
        exists = path.exists() or path.is_symlink()
    except OSError as error:
        raise unwritable(path, error) from None
    if exists:
        raise ExperimentError(f"{path}: exists; expected the name of a new file")


def write(path: Path, answer: Answer) -> None:
    """Write the ``answer`` to a new file, which appears whole or not at all.

    Raises:
        ExperimentError: when the file exists by now, or cannot be written.
    """
    if answer.best is None:
        raise ExperimentError(f"{path}: there is no configuration to write")
    with whole_file(path) as file:
        file.write(text(answer, answer.best))
        # Somebody may have made it during the search.
        refuse_existing(path)


def text(answer: Answer, best: Choice) -> str:
    """The file, comments included."""
    base, server = answer.question.base, best.candidate.server
    lines = [
        f"# Chosen by `python -m sim size`, which predicts Gunicorn {server.gunicorn}.",
        "#",
        *_wrapped(headline(answer)),
        *_wrapped(f"Asked: {traffic(base)}."),
    ]
    room = answer.headroom
    if room is not None:
        breaks = "" if room.breaks is None else f", but not at {room.breaks:g}"
        lines += _wrapped(f"Meets it up to {room.load} {room.holds:g}{breaks}.")
    if best.death is not None and best.death.restored is not None:
        lines += _wrapped(f"A killed worker is replaced in {ms(best.death.restored)}.")
    lines += [*_about_hooks(base), ""]
    for name in SEARCHED:
        lines += _wrapped(ABOUT[name])
        if name == "worker_connections":
            lines += chain.from_iterable(map(_wrapped, limit_notices([server])))
        value = getattr(server, name)
        if name == "worker_class" and server.limit_concurrency is not None:
            lines += [*_limited(server), ""]
            continue
        if name == "worker_class":
            value = server.traits.spellings[0]
        lines += [f"{name} = {value!r}", ""]
    others = [
        f"{field.name} = {getattr(server, field.name)!r}"
        for field in fields(Server)
        if field.name not in (*SEARCHED, LIMIT_CONCURRENCY, RELEASE)
        and getattr(server, field.name) != field.default
    ]
    if others:
        lines += ["# As it was asked for.", *others, ""]
    return "\n".join(lines)


def _limited(server: Server) -> list[str]:
    """The worker class with its `limit_concurrency`, which is no setting of Gunicorn's."""
    path = server.traits.spellings[0]
    if server.worker_class != "uvicorn":
        return [f"worker_class = {path!r}"]
    module, _, name = path.rpartition(".")
    return [
        f"from {module} import {name}",
        "",
        "",
        f"class Limited{name}({name}):",
        "    CONFIG_KWARGS = {",
        f"        **{name}.CONFIG_KWARGS,",
        f'        "limit_concurrency": {server.limit_concurrency},',
        "    }",
        "",
        "",
        f"worker_class = Limited{name}",
    ]


def _about_hooks(base: Experiment) -> list[str]:
    lines: list[str] = []
    if base.launchdarkly.enabled and base.launchdarkly.postfork and base.server.preload_app:
        lines += _wrapped(
            "The service has a LaunchDarkly client and preload_app: keep the post_fork hook that "
            "calls its postfork()."
        )
    if base.gc_freeze:
        lines += _wrapped("Memory is predicted with gc.freeze(): keep the hook that calls it.")
    return lines


def _wrapped(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 96)]
