"""Which flag service the SDK talks to, and for how long it waits."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cache

from ldclient.config import Config

from reference_app.launchdarkly.flag_process import FlagProcess
from sim.errors import ExperimentError

#: Set: LaunchDarkly itself, with this key.
SDK_KEY = "LAUNCHDARKLY_SDK_KEY"
#: Set, and no key: the flag service at this URL. Neither: a local one, which the app starts.
FLAG_SERVICE_URL = "FLAG_SERVICE_URL"
#: Set to 1: no flag service and no SDK threads; every flag has its default value.
OFFLINE = "LAUNCHDARKLY_OFFLINE"
#: s that the SDK's start and `postfork()` wait for the flags, at most; 5 unless set.
START_WAIT = "LAUNCHDARKLY_START_WAIT"


def client_config(environ: Mapping[str, str] = os.environ) -> Config:
    """The SDK's configuration for this environment.

    It starts the local flag service when the environment names none.

    Raises:
        ExperimentError: when ``FLAG_SERVICE_URL`` is no http URL.
    """
    if environ.get(OFFLINE) == "1":
        return Config("", offline=True)
    if key := environ.get(SDK_KEY):
        return Config(key)
    url = environ.get(FLAG_SERVICE_URL)
    if url and not url.startswith(("http://", "https://")):
        raise ExperimentError(f"{FLAG_SERVICE_URL} is {url!r}; expected an http or https URL")
    url = url or local_service().url
    return Config("local", base_uri=url, stream_uri=url, events_uri=url)


def start_wait(environ: Mapping[str, str] = os.environ) -> float:
    """How long the SDK waits for its first flags, s.

    Raises:
        ExperimentError: when ``LAUNCHDARKLY_START_WAIT`` is no number >= 0.
    """
    text = environ.get(START_WAIT, "5")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ExperimentError(f"{START_WAIT} is {text!r}; expected s >= 0")
    return seconds


@cache
def local_service() -> FlagProcess:
    """The local flag service of this process and of those that it forks; starts at first use.

    Gunicorn's master uses it first: it starts once, outlives a reload and ends with the master.
    """
    service = FlagProcess(latency=0.0)
    # The SDK would send even this to the proxy that `http_proxy` names.
    exceptions = (os.environ.get("no_proxy", ""), "127.0.0.1")
    os.environ["no_proxy"] = ",".join(filter(None, exceptions))
    return service
