"""What axe finds fault with in a page: its rules, and where it is asked for which.

Contrast takes axe a millisecond for each text, and a page has thousands of them. What is compared
is the colour, the size and the ground of a text; so it is asked of three texts of each kind that a
page has, where a kind is what the browser computes of all that. Every other rule is asked of
everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: The rules about colours, which are all that a theme changes: of a text on its ground, and of a
#: link among other words.
CONTRAST, LINKS = "color-contrast", "link-in-text-block"

#: Marks three visible texts of each kind, and every control, for axe; runs in the page.
MARK = """() => {
  const grounds = new WeakMap();
  const ground = (element) => {
    if (element === null) { return ""; }
    if (!grounds.has(element)) {
      const style = getComputedStyle(element);
      const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.filter,
        style.mixBlendMode].join();
      const placed = style.position === "static" || style.position === "relative";
      const below = ground(element.parentElement);
      grounds.set(element, own === "rgba(0, 0, 0, 0),none,1,none,normal" && placed
        ? below : `${below} ${placed ? own : `${own} ${number += 1}`}`);
    }
    return grounds.get(element);
  };
  let number = 0;
  const words = (element) => {
    const style = getComputedStyle(element);
    return [style.color, style.fontSize, style.fontWeight, style.textShadow].join();
  };
  const found = new Map();
  document.querySelectorAll("[data-asked]").forEach((each) => { delete each.dataset.asked; });
  for (const element of document.querySelectorAll("body, body *:not(figure svg *)")) {
    const control = element.matches("input, select, textarea");
    // Of a single character axe does not say whether it is text.
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE
      && node.data.trim().length > 1);
    if (!control && !text || !element.checkVisibility()) { continue; }
    const kind = [ground(element), words(element)].join(" | ");
    const before = found.get(kind) ?? 0;
    if (control || before < 3) { element.dataset.asked = ""; }
    found.set(kind, before + 1);
  }
}"""

#: Lets colours that are on their way to others arrive; runs in the page.
ARRIVE = """() => {
  for (const each of document.getAnimations()) {
    if (each instanceof CSSTransition) { each.finish(); }
  }
}"""

#: Charts: pictures to axe, so that their insides are not asked.
CHARTS = [["figure svg"]]


def axe_faults(page: Page, *, colours: bool = True, other: bool = True) -> list[str]:
    """What axe finds fault with, but for the insides of charts.

    Args:
        page: as it looks now.
        colours: whether the rules about colours are asked.
        other: whether all other rules are.
    """
    page.evaluate(ARRIVE)
    everything = {"exclude": CHARTS}
    faults: list[str] = []
    if other:
        left_out = (CONTRAST,) if colours else (CONTRAST, LINKS)
        rules = {"rules": {rule: {"enabled": False} for rule in left_out}}
        faults += _found(page, everything, rules)
    elif colours:
        faults += _found(page, everything, {"runOnly": [LINKS]})
    if colours:
        page.evaluate(MARK)
        marked = {"include": [["[data-asked]"]], "exclude": CHARTS}
        faults += _found(page, marked, {"runOnly": [CONTRAST]})
    return faults


def _found(page: Page, context: dict[str, Any], rules: dict[str, Any]) -> Sequence[str]:
    # Without `preload` it does not fetch the style sheets once more, for rules that are not asked.
    options = {"resultTypes": ["violations"], "preload": False} | rules
    results = Axe().run(page, context, options)
    return [
        f"{violation['id']}: {node['target']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
