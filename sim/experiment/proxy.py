"""What stands between the clients and Gunicorn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_number, check_whole

ProxyKind = Literal["none", "nginx", "alb"]


class ProxyDefaults(NamedTuple):
    """What a kind of proxy does where nobody has configured it.

    Attributes:
        keepalive: idle connections to Gunicorn that it keeps at most.
        connect_timeout: s that it waits for a connection.
        retries_kept: whether a GET that fails on a kept connection is sent once more.
        local: whether it runs on the server's host, and takes one of its cores.
    """

    keepalive: int
    connect_timeout: float
    retries_kept: bool
    local: bool


#: More idle connections than there are ports.
UNLIMITED = 65_535

#: nginx: `ngx_http_proxy_module`'s ``proxy_connect_timeout``, no ``keepalive`` before 1.29.7, and
#: `ngx_http_upstream_next`, which allows one more try after an error on a cached connection,
#: unless the request is a POST.
#: ALB: the user guide, "HTTP 502: bad gateway" and "HTTP 504: gateway timeout" (10 s to connect).
DEFAULTS: Mapping[ProxyKind, ProxyDefaults] = {
    "nginx": ProxyDefaults(keepalive=0, connect_timeout=60.0, retries_kept=True, local=True),
    "alb": ProxyDefaults(
        keepalive=UNLIMITED, connect_timeout=10.0, retries_kept=False, local=False
    ),
}

PROXIES: tuple[ProxyKind, ...] = ("none", *DEFAULTS)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The reverse proxy or load balancer in front of Gunicorn.

    It reads a whole request before it connects, and a whole response before the client does, so
    slow clients hold none of Gunicorn's threads.

    Attributes:
        kind: ``none`` where clients connect to Gunicorn themselves; ``nginx`` on the server's host,
            with one worker process; ``alb``, a load balancer elsewhere, which keeps connections and
            does not retry.
        keepalive: idle connections to Gunicorn that it keeps at most, nginx's ``keepalive``;
            0 opens a connection for each request; None is the kind's default (`DEFAULTS`).
        idle_timeout: s that it keeps an idle one: nginx's upstream ``keepalive_timeout``, the
            load balancer's idle timeout.
        connect_timeout: s that it waits for a connection, then answers 504; None is the kind's
            default. nginx's ``proxy_connect_timeout``.
        read_timeout: s that it waits for a response, then answers 504 and closes the connection.
            nginx's ``proxy_read_timeout``.
    """

    kind: ProxyKind = "none"
    keepalive: int | None = None
    idle_timeout: float = 60.0
    connect_timeout: float | None = None
    read_timeout: float = 60.0

    def __post_init__(self) -> None:
        check_choice("proxy", self.kind, PROXIES)
        if self.keepalive is not None:
            check_whole("proxy keepalive", self.keepalive, 0, UNLIMITED)
        if self.connect_timeout is not None:
            check_number("proxy connect_timeout", self.connect_timeout, 0, above=True)
        check_number("proxy idle_timeout", self.idle_timeout, 0, above=True)
        check_number("proxy read_timeout", self.read_timeout, 0, above=True)
        if self.kind == "none" and any(
            getattr(self, setting.name) != setting.default for setting in fields(self)
        ):
            raise ExperimentError(
                f"proxy has settings but no kind; expected kind to be one of {', '.join(DEFAULTS)}"
            )

    @property
    def present(self) -> bool:
        """Whether anything stands in front of Gunicorn."""
        return self.kind != "none"

    @property
    def kept(self) -> int:
        """Idle connections to Gunicorn that it keeps at most."""
        if not self.present:
            return 0
        return DEFAULTS[self.kind].keepalive if self.keepalive is None else self.keepalive

    @property
    def patience(self) -> float:
        """How long it waits for a connection, s."""
        default = DEFAULTS[self.kind].connect_timeout
        return default if self.connect_timeout is None else self.connect_timeout

    @property
    def retries_kept(self) -> bool:
        """Whether a GET that fails on a kept connection is sent once more."""
        return DEFAULTS[self.kind].retries_kept

    @property
    def local(self) -> bool:
        """Whether it runs on the server's host."""
        return self.present and DEFAULTS[self.kind].local


def proxy_of(experiment: Mapping[str, Any]) -> Proxy:
    """The proxy of an experiment that `sim.experiment.document.to_dict` wrote."""
    return Proxy(**experiment.get("proxy", {}))
