"""Which release of Gunicorn predictions are of, and what other releases do otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sim.experiment.server import Server

#: The release that the model predicts, as far as its version numbers matter.
MODELLED_RELEASE: Final = "27.0"

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


def is_modelled(release: str) -> bool:
    """Whether ``release``, such as ``27.0.1``, belongs to the major version that is modelled."""
    return release.partition(".")[0] == MODELLED_RELEASE.partition(".")[0]


def release_notices(installed: str | None) -> tuple[str, ...]:
    """A notice if another major version of Gunicorn is installed than the modelled one.

    Args:
        installed: its version; None if there is none.
    """
    if installed is None or is_modelled(installed):
        return ()
    return (
        f"Gunicorn {installed} is installed here; predictions are of Gunicorn {MODELLED_RELEASE}, "
        "and other releases queue otherwise.",
    )


def limit_notices(servers: Iterable[Server]) -> tuple[str, ...]:
    """A notice if one of the ``servers`` limits its connections, and on which releases not to."""
    usual = Server().worker_connections
    if all(s.worker_class == "sync" or s.worker_connections >= usual for s in servers):
        return ()
    return (
        f"A limit on worker_connections is for Gunicorn {LIMIT_SAFE}, not for {LIMIT_UNSAFE}. "
        f"{LIMIT_MEASURED}.",
    )
