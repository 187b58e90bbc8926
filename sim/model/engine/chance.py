"""The draws of one random stream, where compiled code has them at hand.

`Random.random()` is a method of a class from elsewhere: compiled code looks it up by name for every
draw, which takes longer than the draw itself. See `sim.model.step_costs`.
"""

from __future__ import annotations

from random import Random


class Chance:
    """One stream's methods, bound once, under the names that `random.Random` gives them."""

    __slots__ = ("getrandbits", "random")

    def __init__(self, stream: Random) -> None:
        self.random = stream.random
        self.getrandbits = stream.getrandbits
