"""A fitted number, and what is known about it.

A probability in the model is an admission: the mechanism behind it is not modelled. Each module
beside this one has the numbers of one subject. A comment says what a number stands for and which
counts it was fitted to; a table repeats that as data. ``python -m sim sensitivity`` prints how much
published figures depend on each number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Machines on which numbers were fitted.
EPYC: Final = "AMD EPYC, 2 virtual cores, Linux 6.18"
XEON: Final = "Intel Xeon, 2 virtual cores, Linux 6.18"

#: The module of numbers that are fields of `Costs`, which `calibrate` may learn.
COSTS: Final = "sim.experiment.costs"


class Fitted(NamedTuple):
    """One fitted number.

    Attributes:
        topic: the part of the model that uses it.
        name: of the constant or of the field of `Costs`.
        module: where it is defined.
        source: what it was fitted to.
        machine: the machine of that measurement.
        calibrated: whether calibration of a host learns it anew.
        probability: whether it is at most 1.
    """

    topic: str
    name: str
    module: str
    source: str
    machine: str = EPYC
    calibrated: bool = False
    probability: bool = True
