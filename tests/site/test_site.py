"""The site as readers get it: built strictly, and looked at in a real browser.

Chromium is Debian's, or whatever ``CHROMIUM`` names. Pages are visited once, and the tests ask what
was seen. With ``--screenshots``, pictures of where axe looks are left in ``build/screenshots``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from accessibility import axe_faults
from browser import PATIENCE, served, watch
from playwright.sync_api import Browser, Page
from site_looks import Looks, look

ROOT = Path(__file__).parents[2]

#: The playground is looked at by its own tests, full of results.
PAGES = tuple(
    "" if path.stem == "index" else f"{path.relative_to(ROOT / 'site_docs/pages').with_suffix('')}/"
    for path in sorted((ROOT / "site_docs" / "pages").rglob("*.md"))
    if path.stem != "playground"
)


class References(HTMLParser):
    """What a page links to, what it loads, its anchors and its policies."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: list[str] = []
        self.policies: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element refers to."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.append(values["id"])
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(values["content"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


# --- files ---------------------------------------------------------------------------------------


@cache
def references(path: Path) -> References:
    """What a page refers to; it is read once."""
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


def test_every_page_has_a_policy_that_names_no_other_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        policies = references(path).policies
        assert len(policies) == 1, path
        directives = dict(part.strip().split(" ", 1) for part in policies[0].split(";"))
        assert directives["default-src"] == "'none'", path
        assert directives["base-uri"] == "'none'", path
        assert directives["form-action"] == "'none'", path
        named = {source for sources in directives.values() for source in sources.split()}
        hashes = {source for source in named if source.startswith("'sha256-")}
        playground = {"'wasm-unsafe-eval'", "blob:"} if path.parent.name == "playground" else set()
        assert named - hashes <= {"'none'", "'self'", "'unsafe-inline'", "data:"} | playground, path
        # Attributes may have styles; no script and no style sheet may be in the page itself.
        assert "'unsafe-inline'" not in directives.get("script-src", ""), path


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


@dataclass(frozen=True, slots=True)
class Seen:
    """What a visit to a page found.

    Attributes:
        troubles: errors on the console, what its policy refused, and requests that failed or went
            elsewhere.
        looks: what was found in each theme and width.
    """

    troubles: tuple[str, ...]
    looks: Looks


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page of the browser, which goes from one address to the next."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        yield page


@pytest.fixture(scope="module")
def visits(browser: Browser, base: str, screenshots: Path | None) -> dict[str, Seen]:
    """What was seen on each page."""
    visits: dict[str, Seen] = {}
    troubles: list[str] = []
    # One page after the other in one process, which has compiled what they share, axe included.
    with browser.new_context() as context:
        page = context.new_page()
        watch(page, base, troubles)
        page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
        for path in PAGES:
            answer = page.goto(base + path)
            assert answer is not None
            assert answer.ok, answer.url
            looks = look(page, _pictures_of(path, screenshots))
            # What is loaded later than the page, as the index of its search, has been loaded.
            page.wait_for_load_state("networkidle")
            visits[path] = Seen(tuple(troubles), looks)
            troubles.clear()
    return visits


def _pictures_of(path: str, folder: Path | None) -> Path | None:
    """What the names of the pictures of a page begin with; None without pictures."""
    return None if folder is None else folder / (path.strip("/").replace("/", "-") or "home")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_without_an_error_or_a_request_elsewhere(
    path: str, visits: dict[str, Seen]
) -> None:
    assert visits[path].troubles == ()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_width(path: str, visits: dict[str, Seen]) -> None:
    assert visits[path].looks.too_wide == []


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(path: str, visits: dict[str, Seen]) -> None:
    assert visits[path].looks.axe == []


@pytest.mark.parametrize("path", PAGES)
def test_every_chart_and_diagram_is_shown_once_and_described(
    path: str, visits: dict[str, Seen]
) -> None:
    assert visits[path].looks.hidden == []


def test_charts_take_the_colours_of_the_theme(visits: dict[str, Seen]) -> None:
    charted = [seen.looks.charts for seen in visits.values() if seen.looks.charts["light"]]
    assert len(charted) > 5
    for charts in charted:
        assert len(charts["light"]) == len(charts["dark"])
        assert not set(charts["light"]) & set(charts["dark"])


#: A page with a fault of each sort, and a chart that axe would find pale.
FAULTY = """<!doctype html><html lang="en"><head><title>Faults</title></head><body><main>
<h1>Faults</h1>
<p style="color: #ccc">Pale 1</p><p style="color: #ccc">Pale 2</p><p style="color: #ccc">Pale 3</p>
<p style="color: #ccc">Pale 4</p><p style="color: #ccc; font-size: 12px">Pale and small</p>
<p><a href="#1">One</a></p><p><a href="#2">Two</a></p><p><a href="#3">Three</a></p>
<p>Words, and <a href="#4" id="told">a link</a> among them.</p>
<input id="nameless"><figure><svg><text fill="#eee">Pale</text></svg></figure>
<style>a { color: #222; text-decoration: none; }</style></main></body></html>"""


def test_axe_finds_a_fault_of_each_kind(page: Page) -> None:
    page.goto("about:blank")
    page.set_content(FAULTY)
    colours = [fault.partition(":")[0] for fault in axe_faults(page, other=False)]
    # Of the four texts of a kind it is asked three.
    assert colours == [*(["color-contrast"] * 4), "link-in-text-block"]
    assert axe_faults(page, colours=False) == ["label: #nameless"]
    assert page.text_content("figure text") == "Pale"


def test_the_search_finds_timeout(page: Page, base: str) -> None:
    page.goto(base)
    page.keyboard.press("/")
    page.keyboard.type("timeout")
    first = page.locator(".md-search-result__link").first
    first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "timeout" in url)
    assert "timeout" in page.inner_text("article").lower()


def test_the_keyboard_reaches_the_content_and_every_section(page: Page, base: str) -> None:
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


def test_the_cells_of_the_validation_are_sorted_by_a_press(page: Page, base: str) -> None:
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


def test_a_run_of_the_article_plays_in_the_place_of_its_chart(page: Page, base: str) -> None:
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


def test_the_policy_refuses_any_other_host(page: Page, base: str, tmp_path: Path) -> None:
    asked: list[str] = []
    (tmp_path / "x").touch()
    with served(tmp_path) as other:
        page.goto(f"{base}glossary/")
        page.on("response", lambda response: asked.append(response.url))
        refused = page.evaluate(REACH, other)
    assert {each["directive"] for each in refused} == set(REACHED)
    assert all(each["url"].startswith(other.rstrip("/")) for each in refused)
    assert [url for url in asked if url.startswith(other)] == []


#: The directives that refuse what `REACH` tries.
REACHED = ("connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem")

#: Tries to load something from another host in every way; gives what was refused.
REACH = """(url) => new Promise((resolve) => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    refused.push({ directive: event.effectiveDirective, url: event.blockedURI });
    if (refused.length === 5) { resolve(refused); }
  });
  const add = (tag, key, more = {}) => {
    document.body.append(Object.assign(document.createElement(tag), more, { [key]: `${url}x` }));
  };
  add("img", "src");
  add("script", "src");
  add("iframe", "src");
  add("link", "href", { rel: "stylesheet" });
  fetch(`${url}x`).catch(() => {});
})"""


def test_without_javascript_the_article_has_its_charts(browser: Browser, base: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(f"{base}why-four-is-not-four/")
        assert plain.locator("figure.chart:visible").count() == 6
        assert plain.get_by_role("button", name="Play this run").count() == 0
        svg = plain.locator("figure.chart .chart-wide svg.moment").nth(1)
        assert "worker 1: 0 of 2 threads busy, 0 waiting" in svg.inner_html()
