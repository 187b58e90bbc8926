"""What the FAQ said, and what is true, as Markdown for a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sim.analysis.summary import summarize
from sim.errors import ExperimentError
from sim.reports.document import document
from sim.run import Run
from site_docs.assertions import ledger
from site_docs.assertions.ledger import Claim, Section
from site_docs.assertions.quantity import Quantity
from site_docs.runs.evidence import evidence
from site_docs.runs.kept import kept, remembered

CLAIMS = Path(__file__).parents[1] / "claims"

#: The kind of box that a verdict is in, and its word.
_BOXES = {"true": "success", "false": "failure", "depends": "question"}


#: A link of Markdown: a heading that opens a box cannot hold one.
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@remembered
def sections() -> tuple[Section, ...]:
    """The whole ledger."""
    return ledger.read(CLAIMS)


def experiments() -> set[str]:
    """Names of those whose numbers some claim has."""
    claims = (claim for section in sections() for claim in section.claims)
    return {quantity.data for claim in claims for quantity in claim.quantities}


def verdicts(heading: str) -> str:
    """The claims of one section of the FAQ, each in a box that opens.

    Raises:
        ExperimentError: when the FAQ has no such section, or a claim's numbers are not there.
    """
    for section in sections():
        if section.heading == heading:
            heading = "## What the FAQ said { #what-the-faq-said }"
            return f"{heading}\n\n{tally(section.claims)}\n\n{boxes(section)}"
    known = ", ".join(repr(section.heading) for section in sections())
    raise ExperimentError(f"{heading!r} is no section of the FAQ; expected one of {known}")


def boxes(section: Section) -> str:
    """The claims of a section, each in a box that opens."""
    return "\n\n".join(_box(claim) for claim in section.claims)


def counted(section: Section) -> Counter[str]:
    """How many claims of a section have which verdict."""
    return Counter(claim.verdict for claim in section.claims)


def tally(claims: Iterable[Claim] | None = None) -> str:
    """How many claims have which verdict, in words; of the whole ledger, if None are given."""
    if claims is None:
        claims = [claim for section in sections() for claim in section.claims]
    counts = Counter(claim.verdict for claim in claims)
    depend = "depends" if counts["depends"] == 1 else "depend"
    return (
        f"{counts.total()} statements: {counts['true']} true, {counts['false']} false, and "
        f"{counts['depends']} that {depend} on something. Each opens to its evidence."
    )


def _box(claim: Claim) -> str:
    said = " … ".join(_inline(words) for words in claim.words)
    body = [_filled(claim)]
    if claim.depends_on is not None:
        body.append(f"It depends on {claim.depends_on}.")
    if claim.quantities:
        body.append(_numbers(claim.quantities))
    body.append(_sources(claim))
    text = "\n\n".join(body).replace("\n", "\n    ")
    return f'??? {_BOXES[claim.verdict]} "{claim.verdict.capitalize()}: {said}"\n\n    {text}'


def _inline(words: str) -> str:
    """Words of the FAQ as they can stand in the quotes of a heading."""
    words = _LINK.sub(r"\1", words)
    return words.strip().replace("\\", "\\\\").replace('"', "&quot;")


@kept
def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides of an experiment, each as `--json` would print it."""
    sides: tuple[tuple[Run, ...], ...] = (evidence(name).predicted, evidence(name).measured)
    predicted, measured = (document(summarize(runs)) for runs in sides)
    return predicted, measured


def _words(quantity: Quantity) -> tuple[str, str]:
    predicted, measured = documents(quantity.data)
    return quantity.words(quantity.value(predicted)), quantity.words(quantity.value(measured))


def _filled(claim: Claim) -> str:
    both = {quantity.name: _words(quantity) for quantity in claim.quantities}
    predicted = {name: words for name, (words, _) in both.items()}
    measured = {name: words for name, (_, words) in both.items()}
    return ledger.fill(claim.correct.strip(), predicted, measured)


def _numbers(quantities: Sequence[Quantity]) -> str:
    lines = ["| | predicted | measured | experiment |", "| --- | ---: | ---: | --- |"]
    for quantity in quantities:
        predicted, measured = _words(quantity)
        shown = evidence(quantity.data).shown
        lines.append(f"| {quantity.what} | {predicted} | {measured} | `{shown.arguments}` |")
    if apart := dict.fromkeys(quantity.apart for quantity in quantities if quantity.apart):
        lines += ["", *apart]
    return "\n".join(lines)


def _sources(claim: Claim) -> str:
    lines = [f"- `{source.at}`: `{source.line}`" for source in claim.sources]
    lines += [f"- {reference}" for reference in claim.references]
    lines += [f"- held by `{test}`" for test in claim.tests]
    return "\n".join(lines)
