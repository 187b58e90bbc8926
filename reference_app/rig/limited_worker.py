"""Uvicorn's worker with a `limit_concurrency`, set as a user of Gunicorn sets it: in a subclass."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

from reference_app.rig.worker_class import LIMIT


class LimitedWorker(UvicornWorker):  # type: ignore[misc]  # it has no types
    """It answers 503 beyond the limit that the environment names."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        **UvicornWorker.CONFIG_KWARGS,
        "limit_concurrency": int(os.environ[LIMIT]),
    }
