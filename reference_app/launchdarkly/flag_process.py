"""Starts the flag service as a process of its own, which ends with its starter."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError

#: s that the service may take to listen, to answer and to end.
PATIENCE = 10.0

ROOT = Path(__file__).resolve().parents[2]


class FlagProcess:
    """A running flag service.

    The service ends when its standard input does: its one writer is the process that made this
    object, so it ends however that process does.

    Args:
        latency: s from a stream's connection to its first ``put`` event.
        reachable: whether it answers the SDK.

    Attributes:
        url: where it listens, for example ``http://127.0.0.1:40001``.
        pid: of its process.

    Raises:
        ExperimentError: when it does not start.
    """

    def __init__(self, *, latency: float = 0.0, reachable: bool = True) -> None:
        command = [sys.executable, "-m", "reference_app.launchdarkly.flag_service", "--port", "0"]
        command += ["--until-eof", "--latency", repr(latency), *(() if reachable else ("--off",))]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the starter, which may still need the service while it stops.
            process_group=0,
        )
        # A forked worker must not hold the pipe open after its master is gone.
        os.register_at_fork(after_in_child=self._close_input)
        self.pid = self._process.pid
        try:
            self.url = self._read_url()
        except BaseException:
            # Not `stop`: while it boots it would complain about its pipe.
            self._process.kill()
            self._process.wait()
            self._close_input()
            raise

    def _read_url(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        with stdout:
            ready, _, _ = select.select([stdout], [], [], PATIENCE)
            url = stdout.readline().strip() if ready else ""
        if not url:
            raise ExperimentError(
                f"the flag service printed no URL in {PATIENCE:g} s; expected it to listen"
            )
        return url

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def status(self) -> dict[str, Any]:
        """What it has seen, and how it is set; see `flag_service.FlagStore`."""
        return self._control("GET", None)

    def change(
        self,
        *,
        latency: float | None = None,
        reachable: bool | None = None,
        flags: dict[str, bool] | None = None,
    ) -> None:
        """Change it while it runs; what is None stays as it is.

        Args:
            latency: s from a stream's connection to its first ``put`` event.
            reachable: whether it answers the SDK.
            flags: which flags to turn on or off, by key.

        Raises:
            ExperimentError: when it refuses, or does not answer.
        """
        wish = {"latency": latency, "reachable": reachable, "flags": flags}
        self._control("PUT", {key: value for key, value in wish.items() if value is not None})

    def _control(self, method: str, wish: dict[str, Any] | None) -> dict[str, Any]:
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE)
        try:
            connection.request(method, "/control", None if wish is None else json.dumps(wish))
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ExperimentError(f"the flag service at {self.url} failed ({error})") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise ExperimentError(f"the flag service at {self.url} refused: {content['error']}")
        return content

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        self._close_input()
        try:
            self._process.wait(PATIENCE)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise


@contextmanager
def flag_process(*, latency: float = 0.0, reachable: bool = True) -> Iterator[FlagProcess]:
    """A flag service that runs as long as the ``with`` block; see `FlagProcess`."""
    process = FlagProcess(latency=latency, reachable=reachable)
    try:
        yield process
    finally:
        process.stop()
