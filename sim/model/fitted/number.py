"""What is known of one fitted number.

A probability here is an admission: the mechanism behind it is not in the model. The modules beside
this one have the numbers, each with what it stands for and the counts that it was fitted to, and
the same as a table. ``python -m sim sensitivity`` prints what published figures owe to each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Machines on which numbers were fitted.
EPYC: Final = "AMD EPYC, 2 virtual cores, Linux 6.18"
XEON: Final = "Intel Xeon, 2 virtual cores, Linux 6.18"

#: Where a number is defined that `calibrate` may learn: a field of `Costs`, not of a module.
COSTS: Final = "sim.experiment.costs"


class Fitted(NamedTuple):
    """One fitted number.

    Attributes:
        topic: what of the model it belongs to.
        name: of the constant or of the field of `Costs`.
        module: where it is defined.
        source: what it was fitted to.
        machine: on which it was.
        calibrated: whether calibration of a host learns it anew.
        probability: whether it may not be above 1.
    """

    topic: str
    name: str
    module: str
    source: str
    machine: str = EPYC
    calibrated: bool = False
    probability: bool = True
