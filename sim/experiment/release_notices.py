"""What has to be said of the release that a prediction is of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sim.experiment.release import KNOWN
from sim.experiment.release_defaults import alike_since, default_costs
from sim.experiment.server import Server

#: Where a limit on connections is safe, and where it is not.
LIMIT_SAFE: Final = "24 and later"
LIMIT_UNSAFE: Final = "21 to 23"

#: What was measured of a limited ``gthread`` server on one of `LIMIT_UNSAFE`; the numbers are those
#: of ``site_docs/data/limited.toml``.
LIMIT_MEASURED: Final = (
    "At its limit their gthread worker polls no connection that it has accepted. Measured on "
    "23.0.0: gthread 4 x 1 limited to 1 answered 0 of 500 requests, and gthread 2 x 2 limited to 2 "
    "took 2074 ms in the median, 53 ms without the limit"
)


def installed_notices(installed: str | None, predicted: str) -> tuple[str, ...]:
    """A notice if the Gunicorn that is installed behaves otherwise than the ``predicted`` one.

    Args:
        installed: its release; None if there is none.
        predicted: the experiment's.
    """
    if installed is None or installed == predicted:
        return ()
    if installed in KNOWN:
        return (f"Gunicorn {installed} is installed here; predictions are of {predicted}.",)
    return (
        f"Gunicorn {installed} is installed here, which the model does not know; predictions are "
        f"of {predicted}, and other releases may queue differently.",
    )


def costs_notices(
    path: str, measured: str | None, predicted: Server, worker_class: str | None = None
) -> list[str]:
    """Notices if the costs in a file are of a release, or of a worker class, that has others.

    Args:
        path: of the file.
        measured: the release that the file names; None where it names none.
        predicted: the experiment's server.
        worker_class: that the file names; None where it names none.
    """
    notices = []
    number, other = predicted.gunicorn, predicted.worker_class
    if measured is not None and alike_since(measured) != alike_since(number):
        notices.append(
            f"The costs in {path} were measured with Gunicorn {measured}; Gunicorn {number}, which "
            "is predicted, has others. `python -m reference_app calibrate --gunicorn "
            f"{number}` measures them."
        )
    if worker_class is not None and default_costs(number, worker_class) != default_costs(
        number, other
    ):
        notices.append(
            f"The costs in {path} were measured with worker class {worker_class}; {other}, which "
            "is predicted, has others. `python -m reference_app calibrate --worker-class "
            f"{other}` measures them."
        )
    return notices


def limit_notices(servers: Iterable[Server]) -> tuple[str, ...]:
    """A notice if one of the ``servers`` limits its connections, and on which releases not to."""
    usual = Server().worker_connections
    limited = [
        server for server in servers if server.traits.threads and server.worker_connections < usual
    ]
    if not limited:
        return ()
    notice = (
        f"A limit on worker_connections is for Gunicorn {LIMIT_SAFE}, not for {LIMIT_UNSAFE}. "
        f"{LIMIT_MEASURED}."
    )
    return (notice,)
