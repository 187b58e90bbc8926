"""Costs of machines that nobody has calibrated, drawn from what was seen of others.

``cost_ranges.toml`` has the range of each cost between machines, with processor and source. A drawn
machine has one factor for all that it computes and one for all that wakes up; each cost has a part
of its own besides. The costs that decide which worker accepts are drawn together, as one machine
had them.

Machines are a Latin hypercube sample (McKay, Beckman and Conover, *Technometrics* 21, 1979): of n
machines, one is in each n-th of every range. So few machines reach both ends of what decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from random import Random
from typing import Any, Final, NamedTuple

from sim.experiment.costs import Costs
from sim.experiment.default_costs import tables


class Ends(NamedTuple):
    """The lowest and the highest of something."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CostRange:
    """How far a cost, or a factor of several, differs between machines.

    Attributes:
        name: of the cost or factor.
        seen: by processor.
        factor: that it is multiplied with, besides its default; None of a cost that is drawn as it
            is, and of a factor.
        assumed: what is drawn from, where one processor alone was seen; None where several were.
        why: where that comes from; empty where it follows the rule of the file.
    """

    name: str
    seen: Mapping[str, Ends]
    factor: str | None = None
    assumed: Ends | None = None
    why: str = ""

    @property
    def ends(self) -> Ends:
        """What is drawn from: what is assumed, or else all that was seen."""
        if self.assumed is not None:
            return self.assumed
        return Ends(
            min(ends.low for ends in self.seen.values()),
            max(ends.high for ends in self.seen.values()),
        )


@dataclass(frozen=True, slots=True)
class Race:
    """Costs that were fitted together.

    Attributes:
        processor: of the machines.
        source: of what was seen.
        seen: cost by name, of each calibration.
    """

    processor: str
    source: str
    seen: tuple[Mapping[str, float], ...]


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Calibrations that ranges come from: how many, on which processor, when and where they are."""

    processor: str
    number: int
    when: str
    source: str


@dataclass(frozen=True, slots=True)
class CostRanges:
    """How far all costs differ between machines.

    Attributes:
        calibrations: that were seen.
        factors: by name.
        costs: by name, but for those of `races` and `same`.
        races: by processor.
        same: costs that did not differ.
    """

    calibrations: tuple[Calibrations, ...]
    factors: Mapping[str, CostRange]
    costs: Mapping[str, CostRange]
    races: tuple[Race, ...]
    same: tuple[str, ...]

    @property
    def processors(self) -> tuple[str, ...]:
        """Of the machines that were seen."""
        return tuple(dict.fromkeys(each.processor for each in self.calibrations))

    @property
    def ends(self) -> Mapping[str, Ends]:
        """The lowest and the highest of each factor and cost, by name."""
        seen = [race for of in self.races for race in of.seen]
        races = {
            name: Ends(min(race[name] for race in seen), max(race[name] for race in seen))
            for name in seen[0]
        }
        entries = chain(self.factors.items(), self.costs.items())
        return {**{name: entry.ends for name, entry in entries}, **races}


def _ends(values: Mapping[str, Sequence[float]]) -> dict[str, Ends]:
    return {processor: Ends(*map(float, pair)) for processor, pair in values.items()}


def _range(name: str, entry: Mapping[str, Any]) -> CostRange:
    assumed = entry.get("assumed")
    return CostRange(
        name,
        _ends(entry["seen"]),
        entry.get("factor"),
        None if assumed is None else Ends(*map(float, assumed)),
        " ".join(entry.get("why", "").split()),
    )


def _race(entry: Mapping[str, Any]) -> Race:
    rows = [map(float, values) for values in entry["seen"]]
    return Race(
        entry["processor"],
        " ".join(entry["source"].split()),
        tuple(dict(zip(entry["costs"], row, strict=True)) for row in rows),
    )


def _read() -> CostRanges:
    document = tables("cost_ranges.toml")
    return CostRanges(
        tuple(Calibrations(**entry) for entry in document["calibrations"]),
        {name: _range(name, entry) for name, entry in document["factor"].items()},
        {name: _range(name, entry) for name, entry in document["cost"].items()},
        tuple(map(_race, document["races"])),
        tuple(document["same"]["costs"]),
    )


#: How much wider than what was seen of one processor a range is assumed to be, at either end.
WIDER: Final = 1.25

#: What was seen of machines.
RANGES: Final = _read()


def without(processor: str, ranges: CostRanges = RANGES) -> CostRanges:
    """The ranges as they would be if no machine with that processor had been seen.

    What only one of two processors was seen of is a quarter wider at either end then, by the rule
    of the file. Assumptions stay.
    """

    def unseen(entry: CostRange) -> CostRange:
        if entry.assumed is not None:
            return entry
        seen = {name: ends for name, ends in entry.seen.items() if name != processor}
        remaining = replace(entry, seen=seen)
        if len(seen) > 1:
            return remaining
        ends = remaining.ends
        return replace(remaining, assumed=Ends(ends.low / WIDER, ends.high * WIDER))

    return replace(
        ranges,
        calibrations=tuple(each for each in ranges.calibrations if each.processor != processor),
        factors={name: unseen(entry) for name, entry in ranges.factors.items()},
        costs={name: unseen(entry) for name, entry in ranges.costs.items()},
        races=tuple(of for of in ranges.races if of.processor != processor),
    )


def machines(number: int, base: Costs, seed: int, ranges: CostRanges = RANGES) -> tuple[Costs, ...]:
    """Costs of as many machines, drawn from what was seen of others.

    Args:
        number: of machines, at least 1.
        base: the default costs of the server's release and worker class, see
            `sim.experiment.release_defaults`.
        seed: of all draws. Each range has a stream of its own, so that one which is added or
            changed leaves the draws of all others as they are.
        ranges: that are drawn from.
    """
    columns = {
        name: [_between(entry.ends, part) for part in _strata(name, number, seed)]
        for name, entry in chain(ranges.factors.items(), ranges.costs.items())
    }
    races = _strata("race", number, seed)
    return tuple(
        _machine(base, ranges, {name: column[place] for name, column in columns.items()}, race)
        for place, race in enumerate(races)
    )


def _strata(name: str, number: int, seed: int) -> list[float]:
    """Numbers from 0 to 1, one in each ``number``-th, in random order."""
    random = Random(f"{seed} {name}")
    parts = [(place + random.random()) / number for place in range(number)]
    random.shuffle(parts)
    return parts


def _between(ends: Ends, part: float) -> float:
    """The value at a part of a range: in equal ratios, or in equal steps if it begins at 0."""
    if ends.low > 0:
        return ends.low * math.exp(part * math.log(ends.high / ends.low))
    return ends.low + part * (ends.high - ends.low)


def _machine(base: Costs, ranges: CostRanges, drawn: Mapping[str, float], race: float) -> Costs:
    """One machine, from what was drawn for each range."""
    values = {
        name: drawn[name] * drawn[entry.factor] * getattr(base, name)
        if entry.factor is not None
        else drawn[name]
        for name, entry in ranges.costs.items()
    }
    # Each processor as often, and each of its calibrations as often as the others of it.
    place = race * len(ranges.races)
    of_processor = ranges.races[int(place)].seen
    values.update(of_processor[int((place % 1) * len(of_processor))])
    return replace(base, **values)


class Side(NamedTuple):
    """A machine at one end of one range, and as the defaults otherwise.

    Attributes:
        name: of the range: of a factor, or of a cost.
        end: ``low`` or ``high``.
        costs: of that machine.
    """

    name: str
    end: str
    costs: Costs


def sides(base: Costs, ranges: CostRanges = RANGES) -> Iterator[Side]:
    """Machines at either end of each range, for all else as ``base``.

    At the end of a factor all its costs are. A cost of a race comes with the others of the
    calibration that had the lowest or highest of it: of several, the one nearest to ``base``.
    """
    for name, entry in ranges.factors.items():
        costs = [cost for cost, of in ranges.costs.items() if of.factor == name]
        for end, value in entry.ends._asdict().items():
            values = {cost: value * getattr(base, cost) for cost in costs}
            yield Side(name, end, replace(base, **values))
    for name, entry in ranges.costs.items():
        unit = 1.0 if entry.factor is None else getattr(base, name)
        for end, value in entry.ends._asdict().items():
            yield Side(name, end, replace(base, **{name: value * unit}))
    seen = [race for of in ranges.races for race in of.seen]
    for name in seen[0]:
        for end, choose in (("low", min), ("high", max)):
            value = choose(race[name] for race in seen)
            among = [race for race in seen if race[name] == value]
            yield Side(name, end, replace(base, **min(among, key=partial(_distance, base))))


def _distance(base: Costs, race: Mapping[str, float]) -> float:
    return math.dist([getattr(base, name) for name in race], list(race.values()))
