"""The site as readers get it: built strictly, and looked at in a real browser.

Chromium is Debian's, or whatever ``CHROMIUM`` names. Pages are visited once, several at a time, and
the tests ask what was seen. Screenshots of where axe looks are left in ``build/screenshots``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from browser import FLAGS, PATIENCE, chromium
from playwright.async_api import Browser, Page, Request, async_playwright
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"

#: Themes and widths, px, in which each page is looked at: a desk, a tablet, a telephone.
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 1440),
    ("light", 768),
    ("light", 360),
    ("dark", 360),
    ("dark", 768),
    ("dark", 1440),
)

#: The rules about colours, which are all that a theme changes: axe is asked for them at a desk in
#: both themes, and for all others at a desk and on a telephone in the light. On a tablet the page
#: is laid out as on either.
COLOURS = ("color-contrast", "link-in-text-block")
RULES: dict[tuple[str, int], dict[str, Any]] = {
    ("light", 1440): {},
    ("light", 360): {"rules": {rule: {"enabled": False} for rule in COLOURS}},
    ("dark", 1440): {"runOnly": list(COLOURS)},
}

#: Height of a screenshot at most, px.
TALLEST = 3000

#: What the theme calls its colour schemes.
SCHEMES = {"light": "default", "dark": "slate"}

#: Pages that are visited at the same time.
AT_ONCE = 2

PAGES = tuple(
    "" if path.stem == "index" else f"{path.relative_to(ROOT / 'site_docs/pages').with_suffix('')}/"
    for path in sorted((ROOT / "site_docs" / "pages").rglob("*.md"))
)


class References(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element refers to."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


# --- files ---------------------------------------------------------------------------------------


def references(path: Path) -> References:
    return References(path.read_text(encoding="utf-8"))


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    known = {path: references(path) for path in site.rglob("*.html")}
    assert len(known) > len(PAGES)
    broken = []
    for path, found in known.items():
        here = f"http://site/{path.relative_to(site).as_posix().removesuffix('index.html')}"
        for link in (*found.links, *found.loaded):
            url, anchor = urldefrag(urljoin(here, link))
            if urlsplit(url).netloc != "site" or path.name == "404.html":
                continue
            target = site / unquote(urlsplit(url).path).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            # There it is an experiment; another test opens each of them.
            if anchor and target == site / "playground" / "index.html":
                continue
            if not target.exists() or (anchor and anchor not in known[target].anchors):
                broken.append((path.relative_to(site).as_posix(), link))
    assert broken == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert [url for url in references(path).loaded if urlsplit(url).netloc] == [], path


def test_ids_are_unique_in_every_page(site: Path) -> None:
    for path in site.rglob("*.html"):
        anchors = references(path).anchors
        assert sorted(set(anchors)) == sorted(anchors), path


def test_the_data_of_every_chart_is_beside_it(site: Path) -> None:
    links = {
        urljoin(f"/{path.parent.relative_to(site).as_posix()}/", link).lstrip("/")
        for path in site.rglob("index.html")
        for link in references(path).links
        if "data/charts/" in link
    }
    assert len(links) > 10
    for link in links:
        assert json.loads((site / link).read_text(encoding="utf-8")), link


# --- in the browser ------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """What a visit to a page found.

    Attributes:
        troubles: errors on the console, and requests that failed or went elsewhere.
        too_wide: widths at which the page has to be moved sideways.
        axe: what axe found, with theme and width.
        charts: of each theme, the colours of the first mark of each chart that is shown.
        hidden: charts and diagrams that are not to be seen, at any width.
    """

    troubles: list[str] = field(default_factory=list)
    too_wide: list[int] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    charts: dict[str, list[str]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def visits(base: str) -> dict[str, Seen]:
    """What was seen on each page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_visit_all(base))


async def _visit_all(base: str) -> dict[str, Seen]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        free = asyncio.Semaphore(AT_ONCE)
        try:
            seen = await asyncio.gather(*(_visit(browser, base, path, free) for path in PAGES))
        finally:
            await browser.close()
    return dict(zip(PAGES, seen, strict=True))


async def _visit(browser: Browser, base: str, path: str, free: asyncio.Semaphore) -> Seen:
    seen = Seen()
    async with free, await browser.new_context(color_scheme="light") as context:
        context.set_default_timeout(1000 * PATIENCE)
        page = await context.new_page()

        def on_request(request: Request) -> None:
            if not request.url.startswith((base, "data:")):
                seen.troubles.append(f"request to {request.url}")

        page.on("request", on_request)
        page.on("requestfailed", lambda request: seen.troubles.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: seen.troubles.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                seen.troubles.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        answer = await page.goto(base + path)
        assert answer is not None
        assert answer.ok, answer.url
        # What a page loads after it is there, such as the playground's model, is looked at too.
        await page.wait_for_load_state("networkidle")
        for theme, width in LOOKS:
            await page.emulate_media(color_scheme=theme)
            await page.wait_for_selector(f'body[data-md-color-scheme="{SCHEMES[theme]}"]')
            await _look(page, path, seen, theme, width)
    return seen


async def _look(page: Page, path: str, seen: Seen, theme: str, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 900})
    found: dict[str, Any] = await page.evaluate(LOOK)
    if found["width"] > width:
        seen.too_wide.append(width)
    seen.hidden += [f"{name} at {width} px, {theme}" for name in found["hidden"]]
    seen.charts[theme] = found["colours"]
    if (theme, width) not in RULES:
        return
    name = path.strip("/").replace("/", "-") or "home"
    file = SCREENSHOTS / f"{name}-{theme}-{width}.jpeg"
    clip: Any = {"x": 0, "y": 0, "width": width, "height": min(found["height"], TALLEST)}
    await page.screenshot(path=file, type="jpeg", quality=70, full_page=True, clip=clip)
    # The charts' insides are pictures to axe; that each is named is looked at above.
    # Without `preload` it does not fetch the style sheets once more, for rules that are not asked.
    options = {"resultTypes": ["violations"], "preload": False} | RULES[theme, width]
    results = await Axe().run(page, {"exclude": [["figure svg"]]}, options)
    seen.axe += [
        f"{theme}, {width} px: {violation['id']}: {node['target']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


#: Runs in the page.
LOOK = """() => {
  const shown = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 0;
  const figures = [...document.querySelectorAll("figure.chart, figure.diagram")];
  const drawings = (figure) => [...figure.querySelectorAll("svg")].filter(shown);
  const named = (svg) => svg.getAttribute("role") === "img" && svg.querySelector("desc");
  return {
    width: document.documentElement.scrollWidth,
    height: document.documentElement.scrollHeight,
    hidden: figures
      .filter((figure) => drawings(figure).length !== 1 || !drawings(figure).every(named))
      .map((figure) => figure.textContent.trim().slice(0, 40)),
    colours: [...document.querySelectorAll("figure.chart svg")].filter(shown).map((svg) =>
      getComputedStyle(svg.querySelector("text")).fill),
  };
}"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_without_an_error_or_a_request_elsewhere(
    path: str, visits: dict[str, Seen]
) -> None:
    assert visits[path].troubles == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_width(path: str, visits: dict[str, Seen]) -> None:
    assert visits[path].too_wide == []


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(path: str, visits: dict[str, Seen]) -> None:
    assert visits[path].axe == []


@pytest.mark.parametrize("path", PAGES)
def test_every_chart_and_diagram_is_shown_once_and_described(
    path: str, visits: dict[str, Seen]
) -> None:
    assert visits[path].hidden == []


def test_charts_take_the_colours_of_the_theme(visits: dict[str, Seen]) -> None:
    with_charts = [seen.charts for seen in visits.values() if seen.charts["light"]]
    assert len(with_charts) > 5
    for charts in with_charts:
        assert len(charts["light"]) == len(charts["dark"])
        assert not set(charts["light"]) & set(charts["dark"])


@pytest.fixture(scope="module")
def page(base: str) -> Iterator[Any]:
    """A page of the browser, on the home page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(base)
            yield page
        finally:
            browser.close()


def test_the_search_finds_timeout(page: Any, base: str) -> None:  # noqa: ANN401
    page.goto(base)
    page.keyboard.press("/")
    page.keyboard.type("timeout")
    first = page.locator(".md-search-result__link").first
    first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "timeout" in url)
    assert "timeout" in page.inner_text("article").lower()


def test_the_keyboard_reaches_the_content_and_every_section(page: Any, base: str) -> None:  # noqa: ANN401
    page.goto(base)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to content"
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("""() => {
              const element = document.activeElement;
              const style = getComputedStyle(element);
              return [element.href || "", style.outlineStyle !== "none"];
            }""")
        )
    links = {url for url, _ in reached}
    assert {f"{base}trouble/", f"{base}choosing/", f"{base}glossary/"} <= links
    assert all(visible for url, visible in reached if url.startswith(base))
    page.locator(f'.md-nav a[href="{"trouble/"}"]').first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/trouble/")


def test_the_cells_of_the_validation_are_sorted_by_a_press(page: Any, base: str) -> None:  # noqa: ANN401
    page.goto(f"{base}validation/")
    heading = page.locator("table[data-sortable] th", has_text="p95 off by")

    def errors() -> list[float]:
        values: list[str] = page.evaluate("""() =>
          [...document.querySelectorAll("table[data-sortable] tbody tr")]
            .map((row) => row.cells[8].dataset.value)""")
        return [float(value) for value in values]

    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert errors() == sorted(errors())
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert errors() == sorted(errors(), reverse=True)


def test_a_run_of_the_article_plays_in_the_place_of_its_chart(page: Any, base: str) -> None:  # noqa: ANN401
    page.goto(f"{base}why-four-is-not-four/")
    charts = page.locator("figure.chart:has(.moment)")
    before = charts.count()
    assert charts.locator("visible=true").count() > 0
    page.get_by_role("button", name="Play this run").nth(1).click()
    text = page.locator(".moving-now")
    text.wait_for()
    assert page.evaluate("document.querySelectorAll('figure.chart[hidden]').length") == 1
    assert charts.count() == before
    assert "worker 2: " in text.inner_text()
    page.get_by_role("button", name="Pause").click()
    # Nothing is predicted here, so there is nothing to do to the server.
    assert page.get_by_role("button", name="Kill it").count() == 0
    assert page.get_by_role("button", name="Play this run").count() == 3


def test_without_javascript_the_article_has_its_charts(page: Any, base: str) -> None:  # noqa: ANN401
    with page.context.browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(f"{base}why-four-is-not-four/")
        assert plain.locator("figure.chart:visible").count() == 6
        assert plain.get_by_role("button", name="Play this run").count() == 0
        svg = plain.locator("figure.chart .chart-wide svg.moment").nth(1)
        assert "worker 1: 0 of 2 threads busy, 0 waiting" in svg.inner_html()
