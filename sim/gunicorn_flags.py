"""Gunicorn's own flags, from Gunicorn's own definitions, short forms and help included."""

from __future__ import annotations

import argparse
from typing import Any

from sim import gunicorn_config, settings
from sim.errors import ExperimentError
from sim.flags import reader

#: Begins the attribute of a Gunicorn flag that is not modelled, so that it hides no flag of ours.
HIDDEN = "gunicorn_"


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
        return settings.worker_class_of(text)
    except ExperimentError as error:
        raise argparse.ArgumentError(None, str(error)) from None


def other_flags(args: argparse.Namespace, known: dict[str, Any], where: str) -> list[str]:
    """A notice of the Gunicorn flags that were given and are not modelled."""
    ignored: list[str] = []
    harmless: list[str] = []
    for name, setting in known.items():
        value = getattr(args, HIDDEN + name, None)
        if value is None:
            continue
        flag = setting.cli[-1]
        gunicorn_config.validated(setting, value, flag)
        (harmless if name in settings.HARMLESS else ignored).append(flag)
    return not_modelled(where, tuple(ignored), tuple(harmless))


def not_modelled(where: str, ignored: tuple[str, ...], harmless: tuple[str, ...]) -> list[str]:
    """A notice of settings that the prediction will not show; none without any."""
    parts = []
    if ignored:
        parts.append(f"not modelled: {', '.join(ignored)}")
    if harmless:
        parts.append(f"no effect on queueing: {', '.join(harmless)}")
    return [f"{where}: {'; '.join(parts)}"] if parts else []
