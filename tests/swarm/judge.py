"""A process that predicts experiments and says what is wrong with each: ``python judge.py``.

It reads a JSON document of an experiment from each line, and answers with a line: the fingerprint
of the prediction, and what cannot be.
"""

from __future__ import annotations

import gc
import json
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

# The script's own folder is on the path already.
sys.path.insert(1, str(Path(__file__).parents[1] / "support"))

from fingerprints import fingerprint
from invariants import broken

from sim.compiled import INTERPRETED
from sim.errors import ExperimentError
from sim.experiment.document import to_dict
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict

#: One prediction in so many is also printed as reports, which takes longer than to predict it.
PRINTED = 64

#: Predictions between two looks for garbage, which takes a tenth of the time where Python decides.
COLLECTED = 64


class Verdict(NamedTuple):
    """What is said of one experiment.

    Attributes:
        fingerprint: of the prediction, or why it is refused; empty where there is neither.
        faults: a sentence or a traceback for each.
    """

    fingerprint: str
    faults: list[str]


def verdict(document: str, *, thorough: bool) -> Verdict:
    """Predict the experiment of a JSON ``document``; look at all that it says, if ``thorough``."""
    found: list[str] = []
    print_of_it = ""
    try:
        told = json.loads(document)
        asked = from_dict(told, "swarm")
        if to_dict(asked) != told:
            found.append("the experiment that is read differs from the one that was written")
        try:
            run = predict(asked)
        except ExperimentError as refused:
            # As of a server that never boots: an answer, which both models have to give.
            return Verdict(f"refused: {refused}", found)
        print_of_it = fingerprint(run)
        if thorough:
            found += broken(asked, run, printed=int(print_of_it[:8], 16) % PRINTED == 0)
    except Exception:  # Whatever goes wrong is what it looks for.
        found.append(traceback.format_exc())
    return Verdict(print_of_it, found)


def main(thorough: bool) -> None:
    """Answer every line of the standard input."""
    gc.freeze()
    gc.disable()
    for number, line in enumerate(sys.stdin, 1):
        answer = verdict(line, thorough=thorough)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if number % COLLECTED == 0:
            gc.collect()


if __name__ == "__main__":
    import os

    # The interpreted process has all the assertions, so it also has the time.
    main(thorough=INTERPRETED in os.environ)
