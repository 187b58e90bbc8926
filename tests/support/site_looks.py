"""What a page of the site looks like in each theme and width, to a reader and to axe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from accessibility import axe_faults
from playwright.sync_api import Page

#: Themes and widths, px, in which each page is looked at: a desk, a tablet, a telephone.
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 1440),
    ("light", 768),
    ("light", 360),
    ("dark", 360),
    ("dark", 768),
    ("dark", 1440),
)

#: In which of them axe is asked for what: for the rules about colours, which are all that a theme
#: changes, at a desk in both themes; for all others at a desk and on a telephone in the light. On a
#: tablet the page is laid out as on either.
ASKED = {
    ("light", 1440): {"colours": True, "other": True},
    ("light", 360): {"colours": False, "other": True},
    ("dark", 1440): {"colours": True, "other": False},
}

#: Height of a page that is looked at, px.
HEIGHT = 900

#: Height of a screenshot at most, px.
TALLEST = 3000

#: What the theme calls its colour schemes.
SCHEMES = {"light": "default", "dark": "slate"}


@dataclass(slots=True)
class Looks:
    """What was found in all looks of a page.

    Attributes:
        too_wide: widths at which the page has to be moved sideways.
        axe: what axe found, with theme and width.
        charts: of each theme, the colours of the first mark of each chart that is shown.
        hidden: charts and diagrams that are not to be seen, at any width.
    """

    too_wide: list[int] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    charts: dict[str, list[str]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


def look(page: Page, pictures: Path | None = None) -> Looks:
    """Look at a page of the site, without loading it anew; it has the other theme afterwards.

    Args:
        page: which has been loaded.
        pictures: what the names of its pictures begin with; None for no pictures.
    """
    looks = Looks()
    # A theme less to change to.
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    for theme, width in reversed(LOOKS) if dark else LOOKS:
        if theme not in looks.charts:
            page.emulate_media(color_scheme=theme)
            page.wait_for_selector(f'body[data-md-color-scheme="{SCHEMES[theme]}"]')
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found: dict[str, Any] = page.evaluate(LOOK)
        if found["width"] > width:
            looks.too_wide.append(width)
        looks.hidden += [f"{name} at {width} px, {theme}" for name in found["hidden"]]
        looks.charts[theme] = found["colours"]
        if (theme, width) in ASKED:
            page.wait_for_function(REACHABLE)
            # The charts' insides are pictures to axe; that each is named is looked at above.
            faults = axe_faults(page, **ASKED[theme, width])
            looks.axe += [f"{theme}, {width} px: {fault}" for fault in faults]
            if pictures is not None:
                clip: Any = {"x": 0, "y": 0, "width": width, "height": TALLEST}
                file = f"{pictures}-{theme}-{width}.jpeg"
                page.screenshot(path=file, type="jpeg", quality=70, full_page=True, clip=clip)
    return looks


#: Whether the page has seen how wide it is now: it lets the keyboard reach code and tables that
#: have to be moved sideways. Runs in the page.
REACHABLE = """() => [...document.querySelectorAll("pre > code, .md-typeset__scrollwrap")].every(
  (each) => each.scrollWidth <= each.clientWidth || each.tabIndex === 0
    || !each.checkVisibility())"""

#: Runs in the page.
LOOK = """() => {
  const shown = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 0;
  const figures = [...document.querySelectorAll("figure.chart, figure.diagram")];
  const drawings = (figure) => [...figure.querySelectorAll("svg")].filter(shown);
  const named = (svg) => svg.getAttribute("role") === "img" && svg.querySelector("desc");
  return {
    width: document.documentElement.scrollWidth,
    hidden: figures
      .filter((figure) => drawings(figure).length !== 1 || !drawings(figure).every(named))
      .map((figure) => figure.textContent.trim().slice(0, 40)),
    colours: [...document.querySelectorAll("figure.chart svg")].filter(shown).map((svg) =>
      getComputedStyle(svg.querySelector("text")).fill),
  };
}"""
