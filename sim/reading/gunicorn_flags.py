"""Gunicorn's own flags, from Gunicorn's own definitions, short forms and help included."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sim.errors import ExperimentError
from sim.experiment import WorkerClass
from sim.reading import gunicorn_config, settings
from sim.reading.class_settings import audit
from sim.reading.flags import reader

#: Begins the attribute of a Gunicorn flag that is not modelled, so that it hides no flag of ours.
HIDDEN = "gunicorn_"

#: Every setting is written by its name.
NO_FLAGS: Mapping[str, str] = MappingProxyType({})


def add_modelled(group: argparse._ActionsContainer, setting: Any) -> None:  # noqa: ANN401
    """Add the flag of a setting that an experiment has."""
    option = _Option(setting)
    if setting.type is int:
        option.keywords["type"] = reader(setting.name, int)
    elif setting.name == "worker_class":
        option.keywords["type"] = _worker_class
    group.add_argument(*option.names, **option.keywords)


def add_hidden(parser: argparse.ArgumentParser, setting: Any) -> None:  # noqa: ANN401
    """Add the flag of a setting that it has not, without help."""
    option = _Option(setting)
    option.keywords |= {"help": argparse.SUPPRESS, "dest": HIDDEN + setting.name}
    for name in option.names:
        try:
            parser.add_argument(name, **option.keywords)
        except argparse.ArgumentError:
            continue  # The command's own flag of that name wins.


class _Option:
    """What Gunicorn's `Setting.add_option` tells the parser that it thinks this is."""

    def __init__(self, setting: Any) -> None:  # noqa: ANN401
        self.names: tuple[str, ...] = ()
        self.keywords: dict[str, Any] = {}
        setting.add_option(self)

    def add_argument(self, *names: str, **keywords: object) -> None:
        self.names = names
        self.keywords = keywords


def _worker_class(text: str) -> str:
    try:
        return settings.named_worker_class(text)
    except ExperimentError as error:
        raise argparse.ArgumentError(None, str(error)) from None


def other_flags(
    args: argparse.Namespace, known: dict[str, Any], where: str, worker_class: WorkerClass
) -> list[str]:
    """A notice of the Gunicorn flags that were given and are not modelled."""
    flags = given(args, known)
    return not_modelled(where, tuple(flags), worker_class, flags)


def given(args: argparse.Namespace, known: dict[str, Any]) -> dict[str, str]:
    """The Gunicorn flags that were given and are not modelled, as written, by their settings."""
    flags: dict[str, str] = {}
    for name, setting in known.items():
        value = getattr(args, HIDDEN + name, None)
        if value is not None:
            flags[name] = setting.cli[-1]
            gunicorn_config.validated(setting, value, flags[name])
    return flags


def not_modelled(
    where: str,
    names: Sequence[str],
    worker_class: WorkerClass,
    flags: Mapping[str, str] = NO_FLAGS,
) -> list[str]:
    """A notice of settings that the prediction will not show; none without any.

    Args:
        where: they were given.
        names: settings that the model does not have; of those that are not modelled the notice says
            what they do.
        worker_class: of the server.
        flags: how each was written, if not by its name.
    """
    audits = {name: audit(name, worker_class) for name in names}
    parts = []
    for status, label in (
        ("not modelled", "not modelled"),
        ("ignored", f"ignored by {worker_class} workers"),
        ("no effect on queueing", "no effect on queueing"),
    ):
        why: dict[str, list[str]] = {}
        for name, setting in audits.items():
            if setting.status == status:
                reason = "" if status == "no effect on queueing" else setting.why
                why.setdefault(reason, []).append(flags.get(name, name))
        groups = [
            ", ".join(written) + (f" ({reason})" if reason else "")
            for reason, written in why.items()
        ]
        if groups:
            parts.append(f"{label}: {', '.join(groups)}")
    return [f"{where}: {'; '.join(parts)}"] if parts else []
