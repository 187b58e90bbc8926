"""Gunicorn's configuration of the service in production."""

# ruff: noqa: N999 - the name that Gunicorn looks for
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

bind = "0.0.0.0:8000"
workers = 2
threads = 2
preload_app = True
timeout = 30

# The hooks import what they need themselves: tools read this file where the SDK is missing.


def on_starting(server: Arbiter) -> None:  # noqa: ARG001 - Gunicorn's signature
    """Start the local flag service, where one is needed, in the master.

    With ``preload_app`` the application has done so already; without, each worker would start
    its own.
    """
    from reference_app.flags import client_config  # noqa: PLC0415

    client_config()


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Restart the LaunchDarkly client, whose threads did not survive the fork."""
    if not server.cfg.preload_app:
        return  # The worker imports the application later, and starts a client of its own.

    import ldclient  # noqa: PLC0415
    from ldclient.interfaces import DataSourceState  # noqa: PLC0415

    from reference_app.flags import start_wait  # noqa: PLC0415

    client = ldclient.get()
    if client.is_offline():
        return
    client.postfork(start_wait=start_wait())
    # Not is_initialized(): with the flags that the master has loaded, that is true even when the
    # flag service could not be reached from here.
    if client.data_source_status_provider.status.state is DataSourceState.VALID:
        server.log.info("LaunchDarkly postfork() completed successfully in worker %s", worker.pid)
    else:
        server.log.warning(
            "LaunchDarkly postfork() got no flags in worker %s: it serves the master's, or the "
            "defaults, until the flag service answers",
            worker.pid,
        )
