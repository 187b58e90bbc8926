"""The proxy in front of Gunicorn, which connects, sends and waits in the clients' place.

::

    client --whole request--> proxy --kept or new connection--> Gunicorn
    client <-whole response-- proxy <---------------------------/

                              502: refused, or closed before the response
                              504: no connection in `connect_timeout`, no response in `read_timeout`

It has the whole request before it connects, and the whole response before the client reads it, so
slow clients hold no thread of Gunicorn's. A client that gives up closes its connection to the
proxy, which logs 499 and closes its own to Gunicorn. Gunicorn notices neither, and does the work.

Idle connections to Gunicorn are one pool. The one that was used last is taken first
(`ngx_http_upstream_get_keepalive_peer`). Where there are too many, the one that was used least
recently is closed (`ngx_http_upstream_free_keepalive_peer`). Which one a load balancer takes is not
published; here it does the same.

A request that fails on a kept connection before any response came: Gunicorn may have closed the
connection just as the request was sent. nginx sends a GET once more (`ngx_http_upstream_next`: an
error on a cached connection gives one more try). A request with a body is a POST, which it does not
repeat once it was sent (``proxy_next_upstream`` without ``non_idempotent``): that gets a 502. From
a load balancer all of them do.

Not modelled: several worker processes of nginx, each with a pool of its own; ``keepalive_requests``
(1,000); responses too long for the proxy's buffers; a second server to try.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Final

from sim.experiment import Proxy, Traffic
from sim.experiment.distribution import Distribution
from sim.model.client import KUBELET, ClientParts, Clients
from sim.model.connection import Connection
from sim.model.cpython.gil import ROUNDING, Gil
from sim.model.engine.clock import Call
from sim.model.engine.infinity import inf
from sim.model.linux.handshake import Handshake
from sim.model.linux.listening_socket import ListeningSocket
from sim.run import BAD_GATEWAY, ERROR_5XX, GATEWAY_TIMEOUT, OK, REFUSED, TIMEOUT

#: The owner of all connections to Gunicorn.
PROXY: Final = 0

#: What the proxy takes to send what it has whole.
NOTHING: Final = Distribution("const", (0.0,))


class Exchange:
    """One attempt of a client at one request, at the proxy.

    State:
        row: of the request.
        client: number of the client that sent it.
        pace: what its steps cost now, as a part of what they cost cold; see
            `sim.model.caches.pace`.
        connection: to Gunicorn; None before, and once the proxy waits for nothing from there.
        kept: whether that connection was used before.
        handshake: of a connection that met a full accept queue; None otherwise.
        since: when the proxy began to wait for a response, s.
        over: whether the client knows the outcome, or has given up.
    """

    __slots__ = ("client", "connection", "handshake", "kept", "over", "pace", "row", "since")

    def __init__(self, row: int, client: int, pace: float) -> None:
        self.row = row
        self.client = client
        self.pace = pace
        self.connection: Connection | None = None
        self.kept = False
        self.handshake: Handshake | None = None
        self.since = 0.0
        self.over = False

    def begin_waiting(self, now: float) -> None:
        """Wait for a response from ``now`` on, with no handshake so far.

        In a method: where it is set beside its use, mypyc takes the handshake for None for good.
        """
        self.since = now
        self.handshake = None


class ProxiedClients(Clients):
    """Clients whose requests a proxy passes on. To Gunicorn, the proxy is the only client.

    Constants, beside those of `Clients`, which are the proxy's here: ``proxy``, ``wanted`` (the
    traffic of the clients themselves), ``client_first_byte``, ``client_body`` and ``client_read``
    (their slowness), ``connect_timeout``, ``read_timeout`` (see `sim.experiment.Proxy`).

    State, beside that of `Clients`, of which ``idle`` is the proxy's pool: ``exchanges`` (by row,
    while the proxy has them), ``client_idle`` (connections to the proxy that each client keeps).

    Where the proxy is elsewhere, as a load balancer is, its clients are still further away: they
    cost the server nothing, and what they take to reach the proxy is left out.
    """

    def __init__(self, parts: ClientParts, client_process: Gil | None, proxy: Proxy) -> None:
        """Let clients reach Gunicorn through ``proxy`` only.

        Args:
            parts: as of `Clients`; ``cores`` are those that the proxy uses.
            client_process: of the clients; None where they use none of the host's cores.
            proxy: its settings.
        """
        to_gunicorn = upstream(parts.traffic, proxy)
        super().__init__(parts._replace(traffic=to_gunicorn, first_byte=None, body=None, read=None))
        self.answers_matter = True
        self._at_once = False
        self._retries_kept = proxy.retries_kept and parts.body is None
        self.repeats = parts.traffic.retries > 0 or self._retries_kept
        self.proxy = proxy
        self.wanted = parts.traffic
        self.client_first_byte = parts.first_byte
        self.client_body = parts.body
        self.client_read = parts.read
        self.connect_timeout = proxy.patience
        self.read_timeout = proxy.read_timeout
        self._client_compute = (
            parts.clock.after if client_process is None else client_process.compute
        )
        self._proxy_request = parts.costs.proxy_request
        self._proxy_response = parts.costs.proxy_response
        self.exchanges: dict[int, Exchange] = {}
        self.client_idle: defaultdict[int, int] = defaultdict(int)

    # From the client to the proxy.

    def _send(self, row: int, client: int, pace: float) -> None:
        """See `Clients`: a client sends to the proxy."""
        exchange = Exchange(row, client, pace)
        self.exchanges[row] = exchange
        if self.wanted.timeout is not None:
            Call(self.clock, lambda _: self._give_up(exchange)).after(self.wanted.timeout)
        if not self.proxy.local:
            self._upload(exchange)
            return
        cost = self.costs.connect
        if self.client_idle[client]:
            self.client_idle[client] -= 1
            cost = self.costs.send
        self._client_compute(cost * pace, self._upload, exchange)

    def _upload(self, exchange: Exchange) -> None:
        """The client is connected; it may take its time to send."""
        seconds = 0.0
        if self.client_first_byte is not None:
            seconds += self.client_first_byte(exchange.row)
        if self.client_body is not None:
            seconds += self.client_body(exchange.row)
        if seconds:
            self.clock.after(seconds, self._forward, exchange)
        else:
            self._forward(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        """The client closes its connection; nginx logs 499 and closes that to Gunicorn."""
        if exchange.over:
            return
        exchange.over = True
        self._abandon(exchange)
        row, client = exchange.row, exchange.client
        if self._tried[row] >= self.wanted.retries:
            del self.exchanges[row]
            self._end(row, client, TIMEOUT)
            return
        self._tried[row] += 1
        again = Call(self.clock, lambda _: self._send(row, client, self._pace_now()))
        again.after(self.wanted.retry_delay)

    # From the proxy to Gunicorn.

    def _forward(self, exchange: Exchange) -> None:
        """Pass the request on, on the idle connection that was used last or on a new one."""
        if exchange.over:
            return
        pool = self.idle[PROXY]
        exchange.kept = bool(pool)
        if pool:
            connection = pool.pop()
            connection.row = exchange.row
            # Not sent yet, as in `Clients`.
            connection.ready = inf
            cost = self.costs.send
        else:
            connection = Connection(exchange.row, PROXY)
            cost = self.costs.connect
        exchange.connection = connection
        connection.pace = exchange.pace
        if self.proxy.local:
            cost = self._proxy_request
        self._compute(cost * exchange.pace, self._pass_on, connection)

    def _pass_on(self, connection: Connection) -> None:
        """Connect or send, and wait for the response."""
        if connection.abandoned:
            return  # The client has left.
        assert connection.row >= 0, "nothing becomes of a request that is not sent"
        exchange = self.exchanges[connection.row]
        exchange.begin_waiting(self.clock.time)
        if exchange.kept:
            self._reuse(connection)
        else:
            self._connect(connection)
        if exchange.connection is connection and not connection.abandoned:
            refused = exchange.handshake is not None
            self._look_after(self.connect_timeout if refused else self.read_timeout, exchange)

    def _refused(self, connection: Connection, listener: ListeningSocket | None) -> None:
        """See `Clients`: the proxy waits for a full accept queue, `connect_timeout` at most."""
        if listener is None or self.unix:
            self._lose(connection, REFUSED)
        else:
            exchange = self.exchanges[connection.row]
            exchange.handshake = self.handshakes.begin(connection, listener)

    def _look_after(self, seconds: float, exchange: Exchange) -> None:
        """Look in ``seconds`` s whether the proxy has waited too long on this connection."""
        connection = exchange.connection

        def look(_: Call) -> None:
            if not exchange.over and exchange.connection is connection:
                self._look(exchange)

        Call(self.clock, look).after(seconds)

    def _look(self, exchange: Exchange) -> None:
        limit = self.read_timeout
        handshake = exchange.handshake
        if handshake is not None:
            if handshake.connected < inf:
                exchange.since = handshake.connected
            else:
                limit = self.connect_timeout
        remaining = exchange.since + limit - self.clock.time
        if remaining > ROUNDING:
            self._look_after(remaining, exchange)
            return
        self._abandon(exchange)
        self._respond(exchange, GATEWAY_TIMEOUT)

    def _abandon(self, exchange: Exchange) -> None:
        """Close the connection to Gunicorn, which goes on all the same."""
        connection, exchange.connection = exchange.connection, None
        if connection is not None:
            self.leave(connection)

    def _over(self, row: int, client: int, outcome: int) -> None:  # noqa: ARG002 - the proxy
        """See `Clients`: Gunicorn has refused the connection, or closed it without a response."""
        exchange = self.exchanges[row]
        exchange.connection = None
        if exchange.kept and self._retries_kept:
            exchange.pace = self._pace_now()
            self._forward(exchange)
        else:
            self._respond(exchange, BAD_GATEWAY)

    # From Gunicorn to the proxy.

    def answer(self, connection: Connection) -> None:
        """See `Clients`."""
        if connection.client == KUBELET:
            self._probed(connection, OK)
        else:
            self._receive(connection, OK)

    def fail(self, connection: Connection) -> None:
        """See `Clients`."""
        if connection.client == KUBELET:
            self._probed(connection, ERROR_5XX)
        else:
            self._receive(connection, ERROR_5XX)

    def _receive(self, connection: Connection, outcome: int) -> None:
        """Gunicorn has sent the whole response just now, and nobody slows the proxy down."""
        cores, costs, now = self.cores, self.costs, self.clock.time
        pace = self.answer_pace.step(now)
        connection.closes = now + costs.finish * connection.pace
        if cores is None or cores.free:
            connection.closes += costs.linger * pace
        if connection.abandoned:
            connection.keep = False
            return
        row, connection.row = connection.row, -1
        cost = self._proxy_response if self.proxy.local else costs.receive
        exchange = self.exchanges[row]
        exchange.pace = pace
        # Gunicorn may close the connection from here on: that is no failure of this request.
        exchange.connection = None
        self._compute(cost * pace, self._have_response, (exchange, connection, outcome))

    def _have_response(self, response: tuple[Exchange, Connection, int]) -> None:
        exchange, connection, outcome = response
        if connection.keep:
            self._keep_idle(connection)
        if not exchange.over:
            self._respond(exchange, outcome)

    def _keep_idle(self, connection: Connection) -> None:
        """Put the connection into the pool, for `idle_timeout` s at most."""
        pool = self.idle[PROXY]
        pool.append(connection)
        connection.idle_since = since = self.clock.time

        def expire(_: Call) -> None:
            if connection.idle_since == since and connection in pool:
                pool.remove(connection)
                self._hang_up(connection)

        Call(self.clock, expire).after(self.proxy.idle_timeout)
        if len(pool) > self.proxy.kept:
            self._hang_up(pool.pop(0))

    def _hang_up(self, connection: Connection) -> None:
        """The proxy closes an idle connection."""
        if connection.keep:
            assert connection.worker is not None, "a kept connection was accepted once"
            connection.worker.hang_up(connection)

    # From the proxy to the client.

    def _respond(self, exchange: Exchange, outcome: int) -> None:
        """The client reads the response, Gunicorn's or the proxy's own."""
        exchange.over = True
        response = (exchange, outcome)
        if self.proxy.local:
            self._client_compute(self.costs.receive * exchange.pace, self._read_response, response)
        else:
            self._read_response(response)

    def _read_response(self, response: tuple[Exchange, int]) -> None:
        exchange, _ = response
        if self.client_read is None:
            self._tell(response)
        else:
            self.clock.after(self.client_read(exchange.row), self._tell, response)

    def _tell(self, response: tuple[Exchange, int]) -> None:
        exchange, outcome = response
        if self.wanted.connection == "keepalive":
            self.client_idle[exchange.client] += 1
        del self.exchanges[exchange.row]
        self._end(exchange.row, exchange.client, outcome)


def upstream(traffic: Traffic, proxy: Proxy) -> Traffic:
    """The traffic between the proxy and Gunicorn, which a client's patience does not reach."""
    return replace(
        traffic,
        connection="keepalive" if proxy.kept else "new",
        timeout=None,
        retries=0,
        retry_delay=0.0,
        first_byte=NOTHING,
        body=NOTHING,
        read=NOTHING,
    )
