"""What axe finds fault with in a page: its rules, and where it is asked for which.

Contrast takes axe a millisecond for each text, and a page has thousands of them. What is compared
is the colour, the size and the ground of a text, and for a link those of the words around it; so
colours are asked of three texts of each kind that a page has, where a kind is what the browser
computes of all that. Every other rule is asked of everything but the insides of charts.
"""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

#: The rules about colours, which are all that a theme changes: of a text on its ground, and of a
#: link among other words.
COLOURS = ["color-contrast", "link-in-text-block"]

#: Without `preload` axe does not fetch the style sheets once more, for rules that are not asked.
OPTIONS = {"resultTypes": ["violations"], "preload": False}

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
    return [style.color, style.fontSize, style.fontWeight, style.textShadow,
      style.textDecorationLine].join();
  };
  // A link must differ from the words around it, where there are any.
  const around = (element) => {
    if (!element.matches("a[href]")) { return ""; }
    let block = element.parentElement;
    while (getComputedStyle(block).display === "inline") { block = block.parentElement; }
    const linked = [...block.querySelectorAll("a")].map((link) => link.textContent).join("");
    return `${words(block)} ${block.textContent.trim().length > linked.trim().length}`;
  };
  const found = new Map();
  document.querySelectorAll("[data-asked]").forEach((each) => { delete each.dataset.asked; });
  for (const element of document.querySelectorAll("body, body *:not(figure svg *)")) {
    const control = element.matches("input, select, textarea");
    // Of a single character axe does not say whether it is text.
    const text = element.matches("a[href]") || [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim().length > 1);
    if (!control && !text || !element.checkVisibility()) { continue; }
    const kind = [ground(element), words(element), around(element)].join(" | ");
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

#: What axe is asked, and of which part of a page.
Question = tuple[dict[str, Any], dict[str, Any]]

#: What axe finds fault with, question by question; runs in the page. Charts are empty meanwhile:
#: axe looks at every element of a page before it leaves any out, and most of them are in charts.
RUN = """async (questions) => {
  const charts = [...document.querySelectorAll("figure svg")]
    .map((chart) => [chart, [...chart.childNodes]]);
  charts.forEach(([chart]) => chart.replaceChildren());
  try {
    const faults = [];
    for (const [context, options] of questions) {
      const { violations } = await axe.run(context, options);
      for (const { id, nodes } of violations) {
        faults.push(...nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
      }
    }
    return faults;
  } finally {
    charts.forEach(([chart, inside]) => chart.replaceChildren(...inside));
  }
}"""


def axe_faults(page: Page, *, colours: bool = True, other: bool = True) -> list[str]:
    """What axe finds fault with, but for the insides of charts.

    Args:
        page: as it looks now.
        colours: whether the rules about colours are asked.
        other: whether all other rules are.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    page.evaluate(ARRIVE)
    questions: list[Question] = []
    if other:
        left_out = {rule: {"enabled": False} for rule in COLOURS}
        questions.append(({"exclude": CHARTS}, OPTIONS | {"rules": left_out}))
    if colours:
        page.evaluate(MARK)
        marked = {"include": [["[data-asked]"]], "exclude": CHARTS}
        questions.append((marked, OPTIONS | {"runOnly": COLOURS}))
    faults: list[str] = page.evaluate(RUN, questions)
    return faults
