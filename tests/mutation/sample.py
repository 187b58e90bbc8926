"""A seeded sample of all mutants, in which each package has its share."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.mutation.mutant import Mutant


def sample(mutants: Iterable[Mutant], number: int | None, seed: int) -> list[Mutant]:
    """Draw mutants without replacement, in random order.

    A folder has as many as its share of all mutants is, rounded by largest remainder. Whatever
    part of the order has been run is a sample, so a session may be interrupted at any moment.

    Args:
        mutants: of all source files.
        number: to draw; None for all of them.
        seed: of the stream.
    """
    strata: dict[str, list[Mutant]] = {}
    for mutant in sorted(mutants):
        strata.setdefault(mutant.stratum, []).append(mutant)
    total = sum(map(len, strata.values()))
    number = total if number is None else min(number, total)
    quotas = {name: number * len(of) / total for name, of in strata.items()}
    sizes = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: (sizes[name] - quotas[name], name))
    for name in by_remainder[: number - sum(sizes.values())]:
        sizes[name] += 1
    drawn = []
    for name, of in strata.items():
        # A stream for each folder: what is drawn in one does not depend on the others.
        order = Random(f"{seed} {name}").sample(of, len(of))
        drawn += order[: sizes[name]]
    Random(f"{seed}").shuffle(drawn)
    return drawn
