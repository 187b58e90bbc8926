"""A local service that speaks the server-side protocol of the LaunchDarkly SDK.

``GET /all`` is a stream of server-sent events: first a ``put`` with all flags, then a ``patch``
for each change. ``POST /bulk`` and ``POST /diagnostic`` take the SDK's events. ``GET /control``
tells what has been seen, and ``PUT /control`` changes the service while it runs::

    {"latency": 0.3, "reachable": false, "flags": {"new-checkout": false}}

While it is not reachable, it ends every connection but those of ``/control`` without an answer,
and drops the streams. Run it with ``python -m reference_app.launchdarkly.flag_service --port 0``;
it prints its URL once it listens.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

from reference_app.launchdarkly.flag_data import Flag, initial_flags
from sim.errors import ExperimentError

#: s between comments on a quiet stream; the SDK gives up on a stream after 300 s of silence.
HEARTBEAT = 60.0
MAX_BODY = 16 * 1024 * 1024
MAX_LATENCY = 3600.0


def _latency(value: object) -> float:
    """``value`` as a latency in s.

    Raises:
        ExperimentError: when it is no number from 0 to `MAX_LATENCY`.
    """
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 <= number <= MAX_LATENCY:
        raise ExperimentError(f"latency is {value!r}; expected s from 0 to {MAX_LATENCY:g}")
    return number


class FlagStore:
    """What the service knows and has seen; its threads share it.

    Attributes:
        changed: notified when anything below changes.
        latency: s from a stream's connection to its ``put`` event.
        reachable: whether anything but ``/control`` is answered.
        flags: by key, as the stream sends them.
        streams: streams that got their ``put`` event, since the start.
        refused: requests that were dropped while the service was not reachable.
        events: analytics events received.
        diagnostics: diagnostic events received.
    """

    def __init__(self, latency: float, *, reachable: bool) -> None:
        self.changed = threading.Condition()
        self.latency = latency
        self.reachable = reachable
        self.flags: dict[str, Flag] = initial_flags()
        self.streams = 0
        self.refused = 0
        self.events = 0
        self.diagnostics = 0

    def status(self) -> dict[str, Any]:
        """Everything that ``GET /control`` tells."""
        with self.changed:
            return {
                "latency": self.latency,
                "reachable": self.reachable,
                "flags": {key: flag["on"] for key, flag in self.flags.items()},
                "streams": self.streams,
                "refused": self.refused,
                "events": self.events,
                "diagnostics": self.diagnostics,
            }

    def count(self, *, streams: int = 0, refused: int = 0, events: int = 0, diag: int = 0) -> None:
        """Add to what has been seen."""
        with self.changed:
            self.streams += streams
            self.refused += refused
            self.events += events
            self.diagnostics += diag

    def change(self, wish: Mapping[str, Any]) -> None:
        """Do what ``PUT /control`` asks: all of it, or nothing.

        Raises:
            ExperimentError: on an unknown key or flag, or a value of the wrong kind.
        """
        unknown = sorted(set(wish) - {"latency", "reachable", "flags"})
        if unknown:
            raise ExperimentError(f"unknown key {unknown[0]!r}; expected latency, reachable, flags")
        switches = wish.get("flags", {})
        if not isinstance(switches, dict):
            raise ExperimentError(f"flags is {switches!r}; expected an object of switches")
        with self.changed:
            latency = _latency(wish.get("latency", self.latency))
            reachable = wish.get("reachable", self.reachable)
            if not isinstance(reachable, bool):
                raise ExperimentError(f"reachable is {reachable!r}; expected true or false")
            for key, on in switches.items():
                if key not in self.flags:
                    known = ", ".join(self.flags)
                    raise ExperimentError(f"unknown flag {key!r}; expected one of {known}")
                if not isinstance(on, bool):
                    raise ExperimentError(f"flag {key!r} is {on!r}; expected true or false")
            self.latency, self.reachable = latency, reachable
            for key, on in switches.items():
                flag = self.flags[key]
                self.flags[key] = {**flag, "on": on, "version": flag["version"] + 1}
            self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # All workers of a server connect at the same moment.
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], store: FlagStore) -> None:
        self.store = store
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away is the daily life of a stream; anything else must be seen.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: requests are counted, not logged."""

    def do_GET(self) -> None:
        if self.path == "/control":
            self._answer(200, self.server.store.status())
        elif self._dropped():
            return
        elif self.path.partition("?")[0] == "/all":
            self._stream()
        else:
            self._answer(404, {"error": f"no such path: {self.path}"})

    def do_PUT(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path != "/control":
            self._answer(404, {"error": f"no such path: {self.path}"})
            return
        try:
            wish = json.loads(body)
            if not isinstance(wish, dict):
                raise ExperimentError("the body is no object; expected latency, reachable, flags")
            self.server.store.change(wish)
        except ExperimentError as error:
            self._answer(400, {"error": str(error)})
        except ValueError as error:
            self._answer(400, {"error": f"the body is not JSON ({error})"})
        else:
            self._answer(200, self.server.store.status())

    def do_POST(self) -> None:
        body = self._body()
        if body is None or self._dropped():
            return
        if self.path not in ("/bulk", "/diagnostic"):
            self._answer(404, {"error": f"no such path: {self.path}"})
            return
        try:
            events = json.loads(body)
        except ValueError as error:
            self._answer(400, {"error": f"the body is not JSON ({error})"})
            return
        if self.path == "/bulk":
            self.server.store.count(events=len(events) if isinstance(events, list) else 1)
        else:
            self.server.store.count(diag=1)
        self._answer(202, None)

    def _body(self) -> bytes | None:
        """The request's body; None, and an answer, when its length is wrong."""
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal() or int(text) > MAX_BODY:
            self.close_connection = True
            self._answer(400, {"error": f"Content-Length is {text!r}; expected 0 to {MAX_BODY}"})
            return None
        return self.rfile.read(int(text))

    def _answer(self, status: int, content: dict[str, Any] | None) -> None:
        body = b"" if content is None else json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _dropped(self) -> bool:
        """Whether the request ends without an answer, as the service is not reachable."""
        if self.server.store.reachable:
            return False
        self.server.store.count(refused=1)
        self.close_connection = True
        return True

    def _stream(self) -> None:
        self.close_connection = True
        store = self.server.store
        with store.changed:
            if store.changed.wait_for(lambda: not store.reachable, timeout=store.latency):
                return
            sent = dict(store.flags)
            store.streams += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        # Chunked, as the SDK's client would else wait for more than one event to read.
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event("put", {"path": "/", "data": {"flags": sent, "segments": {}}})
        while True:
            with store.changed:
                changed = store.changed.wait_for(
                    lambda sent=sent: not store.reachable or store.flags != sent,  # type: ignore[misc]
                    timeout=HEARTBEAT,
                )
                if not store.reachable:
                    return
                news = [flag for key, flag in store.flags.items() if flag != sent[key]]
                sent = dict(store.flags)
            for flag in news:
                self._event("patch", {"path": f"/flags/{flag['key']}", "data": flag})
            if not changed:
                self._chunk(b":\n\n")

    def _event(self, name: str, data: dict[str, Any]) -> None:
        self._chunk(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ExperimentError(message)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m reference_app.launchdarkly.flag_service",
        description="A local stand-in for LaunchDarkly's servers.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8001, help="port to listen at; 0 is any")
    parser.add_argument("--latency", default="0", help="s from a connection to its first put")
    parser.add_argument("--off", action="store_true", help="start unreachable")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input ends, with its writer"
    )
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.port <= 65535:
        raise ExperimentError(f"--port is {parsed.port}; expected 0 to 65535")
    parsed.latency = _latency(parsed.latency)
    return parsed


def _serve(options: argparse.Namespace) -> None:
    store = FlagStore(options.latency, reachable=not options.off)
    try:
        server = _Server((options.host, options.port), store)
    except OSError as error:
        raise ExperimentError(
            f"cannot listen at {options.host}:{options.port} ({error.strerror})"
        ) from None
    with server:
        sys.stdout.write(f"http://{options.host}:{server.server_address[1]}\n")
        sys.stdout.flush()
        if options.until_eof:
            threading.Thread(target=_terminate_at_eof, daemon=True).start()
        server.serve_forever()


def _terminate_at_eof() -> None:
    # Not sys.stdin: this thread would hold its lock when the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _terminate(signum: int, frame: object) -> NoReturn:  # noqa: ARG001
    sys.exit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve flags until SIGTERM, Ctrl-C or, with ``--until-eof``, the end of standard input.

    Args:
        arguments: of the command line, without the program's name; those of this process if None.

    Returns:
        The exit status: 0, 2 for bad arguments, 130 after Ctrl-C.
    """
    # As process 1 of a container, a process without a handler would not see SIGTERM at all.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _serve(_arguments(arguments))
    except ExperimentError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
