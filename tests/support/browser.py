"""A real browser, and the server that it gets the site from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: s that any step in the browser may take, on a machine that does much else.
PATIENCE = 60.0

#: What the browser is started with.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The URL of a directory's files, on a free port of this machine."""
    handler = partial(QuietHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def chromium() -> str:
    """The browser's file."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium; on Debian: apt-get install chromium")
    return found


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """A browser, started with these flags besides `FLAGS`."""
    # Every session imports this module, for its fixtures; few of them start a browser.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def watch(page: Page, base: str, troubles: list[str]) -> None:
    """Note each error, warning and failed request of a page, and each request to another host.

    Args:
        page: before it goes anywhere.
        base: what all addresses begin with that it may ask for.
        troubles: to add to.
    """
    own = (base, "data:", f"blob:{base}")
    page.set_default_timeout(1000 * PATIENCE)
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(own) else troubles.append(f"request to {request.url}")
        ),
    )
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            troubles.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
