"""Which of Gunicorn's settings which release knows.

Read from ``gunicorn.config.make_settings()`` of every release of `sim.experiment.release.KNOWN`. A
release ignores a setting of ``gunicorn.conf.py`` that it does not know, without a word
(`gunicorn.app.base.Application.load_config_from_module_name_or_filename`), and does not start with
a flag that it does not know: argparse refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sim.experiment.release import KNOWN

#: The release that began to know a setting; those that are not here are older than 20.1.0.
SINCE: Final[Mapping[str, str]] = {
    "logconfig_json": "21.1.0",
    "ssl_context": "21.1.0",
    "casefold_http_method": "22.0.0",
    "header_map": "22.0.0",
    "permit_unconventional_http_method": "22.0.0",
    "permit_unconventional_http_version": "22.0.0",
    "tolerate_dangerous_framing": "22.0.0",
    "forwarder_headers": "23.0.0",
    "permit_obsolete_folding": "23.0.0",
    "asgi_lifespan": "24.0.0",
    "asgi_loop": "24.0.0",
    "protocol": "24.0.0",
    "root_path": "24.0.0",
    "uwsgi_allow_ips": "24.0.0",
    "enable_backlog_metric": "24.1.0",
    "dirty_apps": "25.0.0",
    "dirty_graceful_timeout": "25.0.0",
    "dirty_post_fork": "25.0.0",
    "dirty_threads": "25.0.0",
    "dirty_timeout": "25.0.0",
    "dirty_worker_exit": "25.0.0",
    "dirty_worker_init": "25.0.0",
    "dirty_workers": "25.0.0",
    "http2_initial_window_size": "25.0.0",
    "http2_max_concurrent_streams": "25.0.0",
    "http2_max_frame_size": "25.0.0",
    "http2_max_header_list_size": "25.0.0",
    "http_protocols": "25.0.0",
    "on_dirty_starting": "25.0.0",
    "asgi_disconnect_grace_period": "25.0.2",
    "control_socket": "25.1.0",
    "control_socket_disable": "25.1.0",
    "control_socket_mode": "25.1.0",
    "http_parser": "25.2.0",
    "http2_cleartext": "26.2.0",
    "websocket_max_message_size": "27.0.0",
}

#: The first release that does not know a setting any more.
UNTIL: Final[Mapping[str, str]] = {"tolerate_dangerous_framing": "23.0.0"}


def knows(number: str, setting: str) -> bool:
    """Whether a release knows a setting.

    Args:
        number: of the release, one of `KNOWN`.
        setting: that some release knows.
    """
    place = KNOWN.index(number)
    since, until = SINCE.get(setting), UNTIL.get(setting)
    return (since is None or place >= KNOWN.index(since)) and (
        until is None or place < KNOWN.index(until)
    )


def when(setting: str) -> str:
    """Which releases know a setting, in words."""
    if setting in UNTIL:
        return f"{SINCE[setting]} until before {UNTIL[setting]}"
    return f"{SINCE[setting]} and later"


def ignored_notices(location: str, settings: Iterable[str], number: str) -> list[str]:
    """A notice of the settings in a configuration file that the predicted release ignores."""
    unknown = _unknown(settings, number)
    if not unknown:
        return []
    return [f"{location}: Gunicorn {number} ignores settings that it does not know: {unknown}."]


def refused_notices(where: str, flags: Mapping[str, str], number: str) -> list[str]:
    """A notice of the flags with which the predicted release does not start.

    Args:
        where: they were given.
        flags: how each was written, by its setting.
        number: of the release.
    """
    unknown = _unknown(flags, number, flags)
    if not unknown:
        return []
    return [f"{where}: Gunicorn {number} does not start with a flag it does not know: {unknown}."]


def _unknown(settings: Iterable[str], number: str, flags: Mapping[str, str] | None = None) -> str:
    written = flags or {}
    return ", ".join(
        f"{written.get(name, name)} ({when(name)})"
        for name in sorted(settings)
        if not knows(number, name)
    )
