"""Pages of ``--report`` in a real browser: light and dark, on a telephone and on paper.

Goal: a page that asks another host for something, that axe finds fault with, that does not fit a
telephone or a sheet, or that says less to a screen reader than to an eye, fails here. Method: each
page is opened from a server on loopback, and looked at as `tests/site/test_site.py` looks at pages.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from accessibility import axe_faults
from browser import served, watch
from playwright.sync_api import Browser, Page

from sim.cli import main

#: px of a sheet of A4 between its margins, at 96 px an inch.
SHEET = 680

#: A name that must be shown and not run.
HOSTILE = "/<script>document.title='run'</script>"

#: The pages, and the commands that make them.
PAGES = {
    "disturbed": (
        *("-w", "2", "--threads", "4", "--preload", "--rate", "60", "--duration", "10"),
        *("--disturb", "3 signal KILL worker 1", "--client-timeout", "0.5", "--replications", "3"),
        *("--route", f"{HOSTILE} share=.05 io=exp:.5", "--route", "/ share=.95 io=exp:.03"),
    ),
    "compared": (
        *("compare", "a.py", "b.py", "--rate", "30", "--duration", "4", "--replications", "3"),
        *("--jobs", "1"),
    ),
    "sized": (
        *("size", "--slo", "p95=300ms", "--over", "workers=1..2", "--over", "threads=1..3"),
        *("--rate", "30", "--duration", "4", "--replications", "3", "--jobs", "1"),
    ),
    "swept": (
        *("sweep", "--over", "rate=20..40..10", "--duration", "4", "--replications", "2"),
        *("--jobs", "1"),
    ),
}


#: Looks of a page, and what axe is asked in each: only colours differ in the dark, and they do not
#: on a telephone.
LOOKS: tuple[tuple[Literal["light", "dark"], int, dict[str, bool]], ...] = (
    ("light", 1100, {"colours": True, "other": True}),
    ("dark", 1100, {"colours": True, "other": False}),
    ("light", 360, {"colours": False, "other": True}),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a folder with all pages."""
    folder = tmp_path_factory.mktemp("pages")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        Path("a.py").write_text("workers = 2\nthreads = 2\n", encoding="utf-8")
        Path("b.py").write_text("workers = 1\nthreads = 4\n", encoding="utf-8")
        for name, arguments in PAGES.items():
            main([*arguments, "--report", f"{name}.html"])
    with served(folder) as url:
        yield url


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, browser: Browser, pages: str) -> Iterator[Page]:
    """Each page; what it asks for and what it complains of must be nothing."""
    yield from opened(browser, f"{pages}{request.param}.html")


@pytest.fixture(scope="module")
def disturbed(browser: Browser, pages: str) -> Iterator[Page]:
    """The page that has every section."""
    yield from opened(browser, f"{pages}disturbed.html")


def opened(browser: Browser, url: str) -> Iterator[Page]:
    troubles: list[str] = []
    with browser.new_context(color_scheme="light", viewport={"width": 1100, "height": 900}) as one:
        page = one.new_page()
        watch(page, url, troubles)
        page.goto(url)
        yield page
    assert troubles == []


def test_axe_finds_nothing_in_any_look(page: Page) -> None:
    for scheme, width, asked in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert axe_faults(page, **asked) == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_each_chart_is_a_named_picture_with_a_table_behind_it(page: Page) -> None:
    charts = page.evaluate("""() => [...document.querySelectorAll("figure")].map((figure) => {
      const shown = [...figure.querySelectorAll("svg")].filter((svg) => svg.checkVisibility());
      const section = figure.closest("section");
      return {
        shown: shown.length,
        role: shown[0].getAttribute("role"),
        words: shown[0].querySelector("title").textContent.length > 5
          && shown[0].querySelector("desc").textContent.length > 20,
        table: figure.querySelector("table") !== null || section.querySelector("table") !== null,
      };
    })""")
    assert charts
    assert all(
        chart == {"shown": 1, "role": "img", "words": True, "table": True} for chart in charts
    )
    assert page.evaluate("document.documentElement.lang") == "en"
    levels = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3')].map((one) => one.tagName)"
    )
    assert levels[0] == "H1"
    assert set(levels[1:]) == {"H2"}
    headings = page.locator("table thead th").count()
    assert headings == page.locator('table thead th[scope="col"]').count() > 0


def test_charts_have_the_colours_of_the_scheme(disturbed: Page) -> None:
    def colours() -> set[str]:
        found: list[str] = disturbed.evaluate("""() =>
          [...document.querySelectorAll(".wide svg text")]
            .map((text) => getComputedStyle(text).fill)""")
        return set(found)

    light = colours()
    disturbed.emulate_media(color_scheme="dark")
    assert len(light) == len(colours()) == 1
    assert not light & colours()


def test_the_keyboard_opens_the_numbers_of_a_chart(disturbed: Page) -> None:
    closed = disturbed.locator("details table").first
    assert not closed.is_visible()
    for _ in range(40):
        disturbed.keyboard.press("Tab")
        if disturbed.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert disturbed.evaluate(outline) != "none"
    disturbed.keyboard.press("Enter")
    assert closed.is_visible()
    disturbed.keyboard.press("Tab")
    assert disturbed.evaluate("document.activeElement.className") == "scroll"


def test_on_paper_it_is_dark_on_light_and_nothing_is_cut(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": SHEET, "height": 900})
    look = page.evaluate("""() => ({
      text: getComputedStyle(document.querySelector("h1")).color,
      ground: getComputedStyle(document.body).backgroundColor,
      cut: [...document.querySelectorAll(".scroll")].filter((one) => one.checkVisibility())
        .filter((one) => one.scrollWidth > one.clientWidth)
        .map((one) => one.getAttribute("aria-label")),
      closed: [...document.querySelectorAll("details")].filter((one) => one.checkVisibility())
        .length,
      narrow: [...document.querySelectorAll(".narrow")].filter((one) => one.checkVisibility())
        .length,
    })""")
    assert look == {
        "text": "rgb(0, 0, 0)",
        "ground": "rgb(255, 255, 255)",
        "cut": [],
        "closed": 0,
        "narrow": 0,
    }
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_name_is_shown_and_not_run(disturbed: Page) -> None:
    assert HOSTILE in disturbed.inner_text("main")
    assert disturbed.title() == "Prediction: Gunicorn 27.0.1, gthread 2 x 4"


def test_its_policy_forbids_any_other_host(browser: Browser, pages: str) -> None:
    asked: list[str] = []
    with browser.new_context() as context, served(Path(__file__).parent) as other:
        page = context.new_page()
        page.goto(f"{pages}disturbed.html")
        page.on("response", lambda response: asked.append(response.url))
        blocked = page.evaluate(
            """(url) => new Promise((done) => {
              const blocked = [];
              document.addEventListener("securitypolicyviolation", (event) => {
                blocked.push(event.effectiveDirective);
                if (blocked.length === 3) done(blocked.sort());
              });
              const add = (tag, key) => {
                const one = document.createElement(tag);
                one[key] = url;
                if (tag === "link") one.rel = "stylesheet";
                document.body.append(one);
              };
              add("img", "src"); add("link", "href"); add("script", "src");
            })""",
            other,
        )
    assert blocked == ["img-src", "script-src-elem", "style-src-elem"]
    assert asked == []
