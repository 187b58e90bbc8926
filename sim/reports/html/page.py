"""What a report is made of: sections of sentences, tables and figures, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: What a colour stands for; the style sheet says which colour that is, light and dark.
Colour = Literal["predicted", "measured", "ideal", "lost", "text"]

#: How a mark is drawn, in a figure and in its key.
Mark = Literal["line", "dashed", "dot", "hollow", "bar", "area", "dotted", "cross"]


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the JSON document, and how it is written.

    Attributes:
        value: in the document's unit; None where it is not known.
        text: with its unit, unless a heading has that.
    """

    value: float | None
    text: str


#: A part of a cell, and a cell, whose parts follow each other.
Part = str | Number
Cell = Part | tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading.

    Attributes:
        caption: what it has.
        head: headings of the columns.
        rows: cells, as many as headings.
        text_columns: columns of text, beside the first; all others have numbers.
        strong: rows to look at first.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text_columns: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Key:
    """What a mark of a figure means."""

    mark: Mark
    colour: Colour
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind.

    Attributes:
        key: how they are drawn, and what they are; empty text for none in the key.
        x: places along the axis; of `Rows`, the values.
        y: values; of `Rows`, the rows.
        low: lower ends of their intervals; empty without.
        high: upper ends.
    """

    key: Key
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """Values over an axis.

    Attributes:
        series: that are drawn, the first in front.
        x_label: of the axis.
        y_label: of the values.
        ticks: places of the axis and their names; empty for round numbers.
        log_y: whether the values' axis is logarithmic.
        log_x: the same of the other axis.
        limit: a value that is not to be exceeded, and its name.
    """

    series: tuple[Series, ...]
    x_label: str
    y_label: str
    ticks: tuple[tuple[float, str], ...] = ()
    log_y: bool = False
    log_x: bool = False
    limit: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Values of named rows.

    Attributes:
        labels: of the rows, from top to bottom.
        series: whose ``y`` are places of rows, from 0. Bars of one row are put behind each other.
        x_label: of the values.
        limit: a value that is not to be exceeded, and its name.
    """

    labels: tuple[str, ...]
    series: tuple[Series, ...]
    x_label: str
    limit: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One queue and its threads over the time of a run.

    Attributes:
        label: whose they are.
        busy: mean number of busy threads in each slice of the time.
        waiting: mean number of requests that wait, in each slice.
        capacity: steps of time (s) and threads that serve from then on; empty where not drawn.
    """

    label: str
    busy: tuple[float, ...]
    waiting: tuple[float, ...]
    capacity: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Lanes:
    """Threads and queues over the time of a run, one lane below the other.

    Attributes:
        edges: of the slices, s; one more than a lane has values.
        lanes: the first is higher.
        moments: when something is done to the service, s.
        lost: when clients knew that a request was lost, s.
    """

    edges: tuple[float, ...]
    lanes: tuple[Lane, ...]
    moments: tuple[float, ...] = ()
    lost: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and what it says to people who do not see it.

    Attributes:
        name: unique in the page.
        title: what it shows.
        description: what can be seen in it, in sentences.
        key: what its marks mean.
        drawing: what is drawn.
        numbers: the table behind it, if none in sight has its numbers.
    """

    name: str
    title: str
    description: str
    key: tuple[Key, ...]
    drawing: Curves | Rows | Lanes
    numbers: Table | None = None


#: What a section has, in order: a paragraph, a list of sentences, a table, a figure, or code.
@dataclass(frozen=True, slots=True)
class Code:
    """Text that is typed as it stands."""

    text: str


Block = str | tuple[str, ...] | Table | Figure | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it; left out where nothing is.

    Attributes:
        name: its anchor.
        heading: of the section.
        blocks: see `Block`; a tuple of sentences is a list.
    """

    name: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One of the numbers that a reader looks for first."""

    label: str
    number: Number
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: of the file.
        answer: the answer, in two sentences, or three where there is a CPU limit.
        conditions: what it holds for: traffic, host, replications.
        command: that makes the report again, ready for a shell.
        cards: numbers to look at first.
        sections: in order.
        assumptions: behind all numbers; they come first.
        overload: why the server is overloaded.
        notices: sentences about the experiment.
    """

    title: str
    answer: tuple[str, ...]
    conditions: str
    command: str
    cards: tuple[Card, ...] = ()
    sections: tuple[Section, ...] = ()
    assumptions: tuple[str, ...] = ()
    overload: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=())
