"""Distributions of a request's demand, written as ``exp:0.05``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim.errors import ExperimentError

#: What each kind takes, in the order in which it is written.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "const": ("value",),
    "exp": ("mean",),
    "uniform": ("low", "high"),
    "lognorm": ("mean", "cv"),
    "bimodal": ("probability", "a", "b"),
}

#: Largest parameter: 30 years, and a coefficient of variation that nothing has. The square of a
#: larger one may be no float.
LARGEST = 1e9

SYNTAX = "const:V | exp:MEAN | uniform:LO,HI | lognorm:MEAN,CV | bimodal:P,A,B"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A non-negative random time.

    Attributes:
        kind: a key of `PARAMETERS`.
        parameters: as many numbers as `PARAMETERS` names; times in seconds, ``cv`` (the standard
            deviation divided by the mean) and ``probability`` (of ``a``, else ``b``) are pure
            numbers.

    Raises:
        ExperimentError: on an unknown kind, a wrong count, or a number out of range.
    """

    kind: str
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        names = PARAMETERS.get(self.kind)
        if names is None:
            raise ExperimentError(f"unknown distribution {self.kind!r}; expected {SYNTAX}")
        if len(names) != len(self.parameters):
            raise ExperimentError(
                f"distribution {self.kind!r} has {len(self.parameters)} parameters; "
                f"expected {len(names)}: {', '.join(names)}"
            )
        for name, number in zip(names, self.parameters, strict=True):
            if not math.isfinite(number) or number < 0:
                raise ExperimentError(
                    f"distribution {self}: {name} is {number}; expected a finite number >= 0"
                )
            if number > LARGEST:
                raise ExperimentError(
                    f"distribution {self}: {name} is {number}; expected at most {LARGEST:g}"
                )
        if self.kind == "uniform" and self.parameters[0] > self.parameters[1]:
            raise ExperimentError(f"distribution {self}: low is above high")
        if self.kind == "bimodal" and self.parameters[0] > 1:
            raise ExperimentError(f"distribution {self}: probability is above 1")

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(f'{number:g}' for number in self.parameters)}"

    @classmethod
    def parse(cls, text: str) -> Distribution:
        """Read ``kind:number,number``.

        Raises:
            ExperimentError: when the text is anything else.
        """
        kind, colon, rest = text.partition(":")
        try:
            numbers = tuple(float(part) for part in rest.split(",")) if colon else ()
        except ValueError:
            raise ExperimentError(
                f"distribution {text!r} has a part that is not a number; expected {SYNTAX}"
            ) from None
        if not colon:
            raise ExperimentError(f"distribution {text!r} is not understood; expected {SYNTAX}")
        return cls(kind.strip(), numbers)

    @property
    def mean(self) -> float:
        """Expected value, in seconds."""
        p = self.parameters
        match self.kind:
            case "uniform":
                return (p[0] + p[1]) / 2
            case "bimodal":
                return p[0] * p[1] + (1 - p[0]) * p[2]
            case _:
                return p[0]

    @property
    def second_moment(self) -> float:
        """Expected square, in seconds squared; Pollaczek-Khinchine needs it."""
        p = self.parameters
        match self.kind:
            case "exp":
                return 2 * p[0] ** 2
            case "uniform":
                return (p[0] ** 2 + p[0] * p[1] + p[1] ** 2) / 3
            case "lognorm":
                return p[0] ** 2 * (1 + p[1] ** 2)
            case "bimodal":
                return p[0] * p[1] ** 2 + (1 - p[0]) * p[2] ** 2
            case _:
                return p[0] ** 2

    def sampler(self, random: Random) -> Callable[[], float]:
        """A function that draws one value in seconds from the stream ``random`` at each call."""
        p = self.parameters
        match self.kind:
            case "exp" if p[0] > 0:
                rate = 1 / p[0]
                # `Random.expovariate`, without the way there.
                draw, log = random.random, math.log
                return lambda: -log(1.0 - draw()) / rate
            case "uniform":
                return lambda: random.uniform(p[0], p[1])
            case "lognorm" if p[0] > 0 and p[1] > 0:
                # Moments of the log-normal: mean = exp(mu + sigma^2 / 2), cv^2 = exp(sigma^2) - 1.
                sigma = math.sqrt(math.log1p(p[1] ** 2))
                mu = math.log(p[0]) - sigma**2 / 2
                return lambda: random.lognormvariate(mu, sigma)
            case "bimodal":
                return lambda: p[1] if random.random() < p[0] else p[2]
            case _:
                return lambda: p[0]
