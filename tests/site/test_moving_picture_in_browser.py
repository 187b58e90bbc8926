"""The moving picture as readers have it: a real browser, a keyboard, a finger, little motion.

Method: a page that holds nothing but the picture, with the site's style sheet. What the reader does
is predicted here by the model, as the playground predicts it in the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from accessibility import axe_faults
from browser import served, watch
from playwright.sync_api import Browser, Page, expect

from sim.analysis.picture import picture
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.reading.disturbance_flag import parse
from sim.run.one_more_request import with_one_more
from site_docs.playground import assets

CSS = Path(__file__).parents[2] / "site_docs" / "pages" / "assets" / "site.css"

#: Looks of a page of the site: theme, and width in px.
LOOKS = (("default", 1440), ("slate", 768), ("slate", 360))

HTML = """<!doctype html><html lang="en"><head><title>The picture</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="site.css">
<style>
  html { font-size: 125%; } body { margin: 8px; font-size: 0.8rem; font-family: sans-serif; }
  [data-md-color-scheme="default"] { background: #fff; color: #000000de;
    --md-code-bg-color: #f5f5f5; }
  [data-md-color-scheme="slate"] { background: #1e252c; color: #e2e4e9de;
    --md-code-bg-color: #2a323a; --md-code-fg-color: #d5dde4; }
</style></head>
<body data-md-color-scheme="default"><main class="md-typeset"><h1>The picture</h1>
<div id="place"></div></main></body></html>"""

MOUNT = """async (run) => {
  const { mountPicture } = await import("./picture.js");
  window.picture = mountPicture(document.getElementById("place"), run, {
    disturb: async (line) => window.picture.update(await predictDisturbed(line)),
    send: async (at) => window.picture.update(await predictSent(at)),
  });
}"""

SERVICE = Experiment(
    Server(workers=2, threads=2, preload_app=True),
    traffic=Traffic(rate=56.0, duration=6.0),
    launchdarkly=LaunchDarkly(enabled=True),
)

#: 200 requests are in it at once: 100 run, and 100 and more wait.
CROWD = Experiment(
    Server(workers=4, threads=25, preload_app=True),
    traffic=Traffic(arrivals="closed", users=210, duration=8.0, io=Distribution("exp", (0.4,))),
)


@cache
def pictured(experiment: Experiment) -> dict[str, Any]:
    """The picture of an experiment's prediction."""
    return picture(predict(experiment))


@dataclass
class Shown:
    """A page with a picture, and the experiment that it shows.

    Attributes:
        page: of the browser.
        experiment: with all that the reader has done.
        lines: of what the reader has done, as ``--disturb`` takes them.
    """

    page: Page
    experiment: Experiment
    lines: list[str] = field(default_factory=list)

    def disturbed(self, line: str) -> dict[str, Any]:
        """The page's prediction, once the reader has done this."""
        self.lines.append(line)
        disturbances = (*self.experiment.disturbances, parse(line))
        self.experiment = replace(self.experiment, disturbances=disturbances)
        return pictured(self.experiment)

    def sent(self, at: float) -> dict[str, Any]:
        """The same with one more request."""
        self.lines.append(f"{at} request")
        self.experiment = with_one_more(self.experiment, at, 0.05, 0.0)
        return pictured(self.experiment)

    def seek(self, time: float) -> None:
        """Go to a moment."""
        self.page.evaluate("(time) => picture.seek(time)", time)

    @property
    def time(self) -> float:
        """The moment that is shown."""
        return float(self.page.evaluate("picture.time"))

    @property
    def text(self) -> str:
        """What is said of it."""
        return self.page.inner_text(".moving-now")

    def states(self, times: list[float]) -> list[dict[str, Any]]:
        """What is shown at these moments."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "(times) => times.map((time) => { picture.seek(time); return picture.draw(); })", times
        )
        return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page without a picture."""
    folder = tmp_path_factory.mktemp("picture")
    for source in (assets.bundle() / "page" / "picture.js", CSS):
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "index.html").write_text(HTML, encoding="utf-8")
    with served(folder) as address:
        yield address


class Stage:
    """A page of the browser on which one picture after the other is shown.

    Args:
        page: of the browser, with the look that the pictures are to have.
        url: of the page without a picture.
    """

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url
        self._troubles: list[str] = []
        self._shown: Shown | None = None
        watch(page, url, self._troubles)
        page.expose_function("predictDisturbed", self._disturbed)
        page.expose_function("predictSent", self._sent)

    def _disturbed(self, line: str) -> dict[str, Any]:
        assert self._shown is not None
        return self._shown.disturbed(line)

    def _sent(self, at: float) -> dict[str, Any]:
        assert self._shown is not None
        return self._shown.sent(at)

    @contextmanager
    def showing(self, experiment: Experiment = SERVICE, width: int = 1024) -> Iterator[Shown]:
        """A fresh page that shows the prediction of an experiment, so many px wide."""
        self._page.set_viewport_size({"width": width, "height": 900})
        self._page.goto(self._url)
        self._shown = Shown(self._page, experiment)
        self._page.evaluate(MOUNT, pictured(experiment))
        yield self._shown
        assert self._troubles == []


@pytest.fixture(scope="module")
def stage(browser: Browser, url: str) -> Iterator[Stage]:
    """The page of a desk."""
    with browser.new_context() as context:
        yield Stage(context.new_page(), url)


def press(shown: Shown, name: str) -> None:
    """Press a button, and wait for the prediction that follows."""
    before = len(shown.lines)
    shown.page.get_by_role("button", name=name, exact=True).click()
    shown.page.wait_for_function(
        "!document.querySelector('.moving-now').innerText.includes('Predicting')"
    )
    assert len(shown.lines) == before + 1


# --- time ----------------------------------------------------------------------------------------


def test_it_plays_pauses_steps_and_scrubs(stage: Stage) -> None:
    with stage.showing() as shown:
        page = shown.page
        page.get_by_label("Speed").select_option(label="1/2")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("picture.time > 0.05")
        page.get_by_role("button", name="Pause").click()
        paused = shown.time
        draw_frames(page)
        assert shown.time == paused
        page.get_by_role("button", name="Step", exact=True).click()
        stepped = shown.time
        moments = sorted({time for visit in pictured(SERVICE)["visits"] for time in visit[4:6]})
        assert stepped == next(time for time in moments if time > paused)
        page.get_by_role("button", name="Step back").click()
        assert shown.time <= paused
        slider = page.get_by_role("slider", name="Time")
        slider.fill("3.25")
        assert shown.time == 3.25
        assert page.locator(".moving output").inner_text() == "3.250 s"
        assert re.match(r"accept queue: .*; worker 1: .*; worker 2: .*; \d+ answered\.", shown.text)
        # It ends where the run does.
        slider.fill(str(float(slider.get_attribute("max") or 0) - 1))
        page.get_by_label("Speed").select_option(label="5 x")
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        assert shown.time == float(slider.get_attribute("max") or 0)


def test_its_speed_is_the_readers(stage: Stage) -> None:
    with stage.showing() as shown:
        page = shown.page
        page.evaluate(FRAMES)
        for label, speed in (("1/10", 0.1), ("as fast as it is", 1.0)):
            page.get_by_label("Speed").select_option(label=label)
            shown.seek(0.5)
            # The first frame says when the play begins.
            page.evaluate("picture.play(); drawFrames(31, 1000 / 60)")
            assert shown.time == pytest.approx(0.5 + 30 / 60 * speed)
            # A machine that is too slow, or a tab that was away: the picture does not jump.
            page.evaluate("drawFrames(1, 3000); picture.pause(); drawFrames(60, 1000 / 60)")
            assert shown.time == pytest.approx(0.5 + (30 / 60 + 0.1) * speed)


#: Takes the frames of the page into the test's hands.
FRAMES = """() => {
  let waiting = [], now = performance.now();
  window.requestAnimationFrame = (draw) => waiting.push(draw);
  window.drawFrames = (frames, ms) => {
    for (let frame = 0; frame < frames; frame += 1) {
      const drawn = waiting;
      waiting = [];
      now += ms;
      drawn.forEach((draw) => draw(now));
    }
  };
}"""


def draw_frames(page: Page, frames: int = 5) -> None:
    """Wait until so many frames are drawn."""
    page.evaluate(
        """(frames) => new Promise((resolve) => {
          const draw = () => { frames -= 1; frames > 0 ? requestAnimationFrame(draw) : resolve(); };
          requestAnimationFrame(draw);
        })""",
        frames,
    )


# --- what the reader does ------------------------------------------------------------------------


def test_a_kill_changes_the_future_and_not_the_past(stage: Stage) -> None:
    with stage.showing() as shown:
        times = [number / 10 for number in range(5, 40)]
        before = shown.states(times)
        shown.seek(2.0)
        press(shown, "Kill it")
        assert shown.lines == ["2 signal KILL worker 1"]
        assert shown.time == 2.0
        log = shown.page.get_by_role("log", name="What Gunicorn logs")
        assert "SIGKILL to worker 1" in log.inner_text()
        assert "Perhaps out of memory?" not in log.inner_text()
        after = shown.states(times)
        for time, old, new in zip(times, before, after, strict=True):
            if time < 2.0:
                assert places(new) == places(old)
        assert [s for s, t in zip(after, times, strict=True) if t > 2.0] != [
            s for s, t in zip(before, times, strict=True) if t > 2.0
        ]
        shown.seek(2.2)
        assert "[1] [ERROR] Worker (pid:2) was sent SIGKILL! Perhaps out of memory?" in (
            log.inner_text()
        )
        assert "Booting worker with pid: 4" in log.inner_text()
        assert "worker 3: " in shown.text
        shown.seek(1.9)
        assert "SIGKILL" not in log.inner_text()


def places(state: dict[str, Any]) -> tuple[Any, ...]:
    """Who is where in a state."""
    return state["acceptQueue"], [
        lane and (lane["life"]["number"], lane["waiting"], lane["threads"])
        for lane in state["lanes"]
    ]


def test_the_reader_hangs_a_thread_and_crashes_a_worker(stage: Stage) -> None:
    with stage.showing() as shown:
        shown.seek(1.0)
        shown.page.locator(".moving-act select").select_option("2")
        press(shown, "Hang a thread")
        press(shown, "Crash it")
        assert shown.lines == [
            "1 hang worker 2 threads 1 seconds 10",
            "1 crash worker 2",
        ]
        shown.seek(2.0)
        assert "[ERROR] Worker (pid:3) exited with code 1." in shown.page.inner_text(".moving-log")


def test_hup_term_and_a_request(stage: Stage) -> None:
    with stage.showing() as shown:
        shown.seek(1.2345)
        requests = len(predict(shown.experiment).requests)
        press(shown, "Send a request")
        assert len(predict(shown.experiment).requests) == requests + 1
        # A moment that an address can say: a whole millisecond, not before.
        assert shown.time == 1.235
        press(shown, "HUP to the master")
        shown.seek(2.0)
        press(shown, "TERM to the master")
        assert shown.lines[1:] == ["1.235 signal HUP master", "2 signal TERM master"]
        shown.seek(3.0)
        log = shown.page.inner_text(".moving-log")
        assert "Handling signal: hup" in log
        assert "Handling signal: term" in log
        assert "accepts no more" in shown.text or "stopped" in shown.text


def test_without_launchdarkly_a_new_worker_waits(stage: Stage) -> None:
    with stage.showing() as shown:
        shown.seek(0.5)
        press(shown, "Take LaunchDarkly away")
        assert shown.text.count("LaunchDarkly is unreachable") == 1
        press(shown, "Kill it")
        shown.seek(3.0)
        assert "worker 3: booting" in shown.text
        press(shown, "Bring LaunchDarkly back")
        assert shown.lines[-1] == "3 launchdarkly reachable"
    without = replace(SERVICE, launchdarkly=LaunchDarkly())
    with stage.showing(without) as shown:
        button = shown.page.get_by_role("button", name="Take LaunchDarkly away")
        assert button.is_disabled()
        assert button.get_attribute("title") == "LaunchDarkly is off in this experiment"


# --- for everybody -------------------------------------------------------------------------------


def test_a_keyboard_is_enough(stage: Stage) -> None:
    with stage.showing() as shown:
        page = shown.page
        names = []
        for _ in range(16):
            page.keyboard.press("Tab")
            names.append(
                page.evaluate("""() => {
                  const at = document.activeElement;
                  if (at === document.body) { return ["", true]; }
                  const style = getComputedStyle(at);
                  const name = at.textContent.trim() || at.labels?.[0]?.textContent.trim();
                  return [name.split("\\n")[0], style.outlineStyle !== "none"];
                }""")
            )
        reached = [name for name, _ in names]
        for name in ("Play", "Step back", "Step", "Kill it", "HUP to the master", "Send a request"):
            assert name in reached
        assert all(visible for name, visible in names if name)
        page.get_by_role("button", name="Play").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Pause")).to_be_focused()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Play")).to_be_focused()
        before = shown.time
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        after = shown.time
        assert after > before
        page.keyboard.press("ArrowLeft")
        assert before < shown.time < after
        # In a field, the arrows are the field's.
        page.get_by_role("slider", name="Time").focus()
        page.keyboard.press("Home")
        assert shown.time < 0


def test_a_finger_is_enough(browser: Browser, url: str) -> None:
    with (
        browser.new_context(has_touch=True, is_mobile=True) as context,
        Stage(context.new_page(), url).showing(width=360) as shown,
    ):
        page = shown.page
        sizes: list[dict[str, float]] = page.evaluate(
            """() => [...document.querySelectorAll(".moving :is(button, select, input)")]
              .filter((each) => each.checkVisibility())
              .map((each) => { const { width, height } = each.getBoundingClientRect();
                               return { width, height }; })"""
        )
        assert len(sizes) > 8
        assert all(size["width"] >= 24 and size["height"] >= 24 for size in sizes)
        page.get_by_role("button", name="Step", exact=True).tap()
        assert shown.time > 0
        page.get_by_role("button", name="Kill it").tap()
        page.wait_for_function(
            "document.querySelector('.moving-log').innerText.includes('SIGKILL')"
        )
        # A finger on the picture scrolls the page.
        assert page.locator("canvas").evaluate("(c) => getComputedStyle(c).touchAction") == "pan-y"


def test_with_less_motion_it_only_steps(stage: Stage) -> None:
    with stage.showing() as shown:
        page = shown.page
        page.emulate_media(reduced_motion="reduce")
        expect(page.get_by_role("button", name="Play")).to_be_hidden()
        assert page.get_by_text("Your system asks for less motion").is_visible()
        shown.seek(1.0)
        page.get_by_role("button", name="Step", exact=True).click()
        pixels = "(canvas) => canvas.toDataURL()"
        at_once = page.locator("canvas").evaluate(pixels)
        draw_frames(page)
        assert page.locator("canvas").evaluate(pixels) == at_once
        page.evaluate("picture.play()")
        assert page.evaluate("picture.playing") is False
        # A reader who changes that gets the rest at once.
        page.emulate_media(reduced_motion="no-preference")
        expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_screen_reader_hears_names_and_the_state(stage: Stage) -> None:
    with stage.showing() as shown:
        page = shown.page
        assert page.get_by_role("img", name=re.compile("Requests as dots")).count() == 1
        assert page.get_by_role("region", name="The run, as a picture").count() == 1
        assert page.get_by_role("group", name="Do it now").count() == 1
        live = page.locator(".moving-now")
        assert live.get_attribute("aria-live") == "polite"
        page.get_by_role("button", name="Play").click()
        # It does not talk all the time.
        assert live.get_attribute("aria-live") == "off"
        page.get_by_role("button", name="Pause").click()
        assert live.get_attribute("aria-live") == "polite"
        page.get_by_role("button", name="Step", exact=True).click()
        assert "worker 1: " in shown.text


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_it_looks_well(stage: Stage, screenshots: Path | None, theme: str, width: int) -> None:
    with stage.showing(width=width) as shown:
        page = shown.page
        page.evaluate("(theme) => { document.body.dataset.mdColorScheme = theme; }", theme)
        shown.seek(2.0)
        press(shown, "Kill it")
        # The button has the focus, and not the mouse.
        page.mouse.move(0, 0)
        shown.seek(2.0015)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("canvas").bounding_box()
        assert box is not None
        assert box["width"] <= width
        if screenshots is not None:
            file = screenshots / f"moving-picture-{theme}-{width}.png"
            page.screenshot(path=file, full_page=True)
        assert axe_faults(page) == []


def test_the_picture_takes_the_colours_of_the_theme(stage: Stage) -> None:
    with stage.showing() as shown:
        pixel = """(canvas) => {
          const copy = document.createElement("canvas").getContext("2d");
          copy.drawImage(canvas, -canvas.width / 2, -12);
          return [...copy.getImageData(0, 0, 1, 1).data];
        }"""
        light = shown.page.locator("canvas").evaluate(pixel)
        shown.page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
        draw_frames(shown.page)
        dark = shown.page.locator("canvas").evaluate(pixel)
        assert sum(light[:3]) > 600
        assert sum(dark[:3]) < 300


# --- work and memory -----------------------------------------------------------------------------

#: Calls that draw something, or ask the page for its layout, for each dot of a frame at most.
CALLS_PER_DOT = 10

#: Bytes by which the heap may have grown after a play as long as the one before it: counters.
GROWTH = 200_000

#: Counts the calls of the canvas, and questions that make the browser lay the page out.
COUNT = """() => {
  window.calls = 0;
  const counted = (owner, name) => {
    const { value } = Object.getOwnPropertyDescriptor(owner, name) ?? {};
    if (typeof value === "function") {
      owner[name] = function (...given) { window.calls += 1; return value.apply(this, given); };
    }
  };
  const canvas = CanvasRenderingContext2D.prototype;
  Object.getOwnPropertyNames(canvas).forEach((name) => counted(canvas, name));
  counted(Element.prototype, "getBoundingClientRect");
  counted(window, "getComputedStyle");
}"""


def test_a_frame_takes_some_calls_for_each_dot(stage: Stage) -> None:
    with stage.showing(CROWD, width=1440) as shown:
        shown.page.evaluate(COUNT)
        (state,) = shown.states([3.0])
        dots = len(state["acceptQueue"]) + sum(
            len(lane["waiting"]) + sum(request is not None for request in lane["threads"])
            for lane in state["lanes"]
        )
        assert dots >= 200
        calls: int = shown.page.evaluate("calls = 0, picture.draw(), calls")
        assert dots < calls < CALLS_PER_DOT * dots


def test_memory_stays_flat(stage: Stage) -> None:
    with stage.showing() as shown:
        client = shown.page.context.new_cdp_session(shown.page)

        def play() -> tuple[int, int]:
            """Bytes of the heap and nodes of the page after a play of 20 s at 60 frames/s."""
            shown.page.evaluate(
                """() => {
                  for (let frame = 0; frame < 1200; frame += 1) {
                    picture.seek(frame / 200);
                  }
                }"""
            )
            client.send("HeapProfiler.collectGarbage")
            heap = client.send("Runtime.getHeapUsage")["usedSize"]
            return int(heap), int(shown.page.evaluate("document.querySelectorAll('*').length"))

        play()
        (before, nodes), _, (after, nodes_after) = play(), play(), play()
        assert nodes_after == nodes
        assert after - before < GROWTH
        # Each disturbance brings another run, and lets the one before go.
        shown.seek(2.0)
        for _ in range(3):
            press(shown, "Hang a thread")
        client.send("HeapProfiler.collectGarbage")
        once = client.send("Runtime.getHeapUsage")["usedSize"]
        for _ in range(6):
            press(shown, "Hang a thread")
        client.send("HeapProfiler.collectGarbage")
        assert client.send("Runtime.getHeapUsage")["usedSize"] - once < GROWTH


def test_it_ends_without_a_trace(stage: Stage) -> None:
    with stage.showing() as shown:
        shown.page.evaluate("picture.play(); picture.destroy()")
        assert shown.page.inner_html("#place") == ""
