"""The playground's memory stays flat, however long a reader plays.

Method: a real browser plays runs, and after each the reader does something to the experiment and
takes it back. Frames come as fast as they are drawn, 60 for each second of play; the worker and the
model run as they are. A script in the page does it all, for Playwright's own calls leave something
in the heap. What is counted after garbage collections: the page's heap and elements, and the
resident memory of its process, in which the worker and Pyodide are too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from browser import PATIENCE, launched
from playwright.sync_api import Browser, CDPSession, Page

#: s of play after which what is loaded and cached once is there.
WARM = 30

#: V8 compiles functions again and again, each time with more code in the heap, as long as they run
#: often. It does not here, so that what grows is ours.
NO_COMPILERS = "--js-flags=--no-opt --no-maglev --no-sparkplug --no-flush-bytecode"

#: Bytes by which the heap may have grown: counters, and functions that have not run before.
GROWTH = 50_000

#: Factor by which the process may have grown. Allocators keep some of what they had.
PROCESS_GROWTH = 1.10

EXPERIMENT = "workers=2&threads=2&preload&rate=40&duration=15&replications=2&launchdarkly"


class Memory(NamedTuple):
    """What a page takes.

    Attributes:
        heap: bytes of the page's JavaScript heap.
        elements: of the page.
        process: bytes of its process that are in memory.
    """

    heap: int
    elements: int
    process: int


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that interprets scripts."""
    with launched(NO_COMPILERS) as browser:
        yield browser


def memory(page: Page, client: CDPSession, browser_client: CDPSession) -> Memory:
    """What the page takes after garbage collections."""
    for _ in range(3):
        client.send("HeapProfiler.collectGarbage")
    heap = client.send("Runtime.getHeapUsage")["usedSize"]
    elements = page.evaluate("document.querySelectorAll('*').length")
    processes = browser_client.send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [each["id"] for each in processes if each["type"] == "renderer"]
    return Memory(int(heap), int(elements), sum(map(resident, renderers)))


def resident(process: int) -> int:
    """Bytes of a process that are in memory."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


#: Takes the frames of the page into its own hands; before any other script.
FRAMES = """(() => {
  let waiting = [], now = performance.now();
  window.requestAnimationFrame = (draw) => waiting.push(draw);
  window.draw = (frames) => {
    for (let frame = 0; frame < frames; frame += 1) {
      const drawn = waiting;
      waiting = [];
      now += 1000 / 60;
      drawn.forEach((draw) => draw(now));
    }
  };
})()"""

#: Plays for so many s: five at a time, and then the reader does something and takes it back.
PLAY = """async (seconds) => {
  const root = document.querySelector("#pg");
  const button = (name) =>
    [...root.querySelectorAll("button")].find(({ textContent }) => textContent === name);
  const write = (field, value) => {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const workers = [...root.querySelectorAll("label")]
    .find(({ textContent }) => textContent === "Workers").control;
  const settle = async () => {
    do {
      await new Promise((resolve) => setTimeout(resolve, 20));
      draw(1);
    } while (root.dataset.answered !== location.hash.slice(1));
  };
  const actions = [
    async () => {
      write(workers, "3");
      await settle();
      write(workers, "2");
    },
    async () => {
      button("Send a request").click();
      await settle();
      root.querySelector(".pg-lines button").click();
    },
    async () => {
      button("Kill it").click();
      await settle();
      root.querySelector(".pg-lines button").click();
    },
  ];
  for (let played = 0, number = 0; played < seconds; played += 5, number += 1) {
    button("Play")?.click();
    draw(5 * 60);
    button("Pause")?.click();
    write(root.querySelector(".moving-time input"), "2");
    await actions[number % actions.length]();
    await settle();
  }
}"""


def test_memory_is_flat_while_the_reader_plays(
    browser: Browser, base: str, play_seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.add_init_script(FRAMES)
        page.goto(f"{base}playground/#{EXPERIMENT}")
        page.get_by_label("Speed").select_option("1")
        client = context.new_cdp_session(page)
        browser_client = browser.new_browser_cdp_session()
        page.evaluate(PLAY, WARM)
        before = memory(page, client, browser_client)
        page.evaluate(PLAY, play_seconds)
        after = memory(page, client, browser_client)
    with capsys.disabled():
        print(f"\nmemory before {play_seconds:g} s of play: {before}, after: {after}")  # noqa: T201
    assert after.elements == before.elements
    assert after.heap - before.heap < GROWTH
    assert after.process < PROCESS_GROWTH * before.process
