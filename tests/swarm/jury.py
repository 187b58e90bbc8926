"""Two processes that judge the same experiments: one interpreted, one compiled.

::

    experiment --> judge.py, interpreted --fingerprint, faults--+
               +-> judge.py, compiled    --fingerprint----------+--> faults of both
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from judge import Verdict

from sim import compiled
from sim.experiment import Experiment
from sim.experiment.document import to_dict

#: s that one prediction may take, with all that is looked at.
PATIENCE = 60.0


class _Judge:
    """One process; it is started anew when it has not answered in time."""

    def __init__(self, *, interpreted: bool) -> None:
        self._environment = {**os.environ, **({compiled.INTERPRETED: "1"} if interpreted else {})}
        if not interpreted:
            self._environment.pop(compiled.INTERPRETED, None)
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("judge.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
        )

    def ask(self, document: bytes) -> None:
        """Send an experiment; `answer` must follow."""
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(document + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Verdict:
        """Wait for what it says of that."""
        stdout = self._process.stdout
        assert stdout is not None, "it is a pipe"
        deadline, said = time.monotonic() + PATIENCE, b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.end()
                    self._process = self._started()
                    return Verdict("", [f"no prediction within {PATIENCE:g} s"])
                part = os.read(stdout.fileno(), 1 << 16)
                if not part:
                    status = self._process.wait()
                    self._process = self._started()
                    return Verdict("", [f"the process that predicts ended with status {status}"])
                said += part
        fingerprint, faults = json.loads(said)
        return Verdict(fingerprint, faults)

    def end(self) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.communicate()


class Jury:
    """Judges experiments, one after the other; a context manager that leaves no process behind."""

    def __init__(self) -> None:
        self._interpreted = _Judge(interpreted=True)
        self._compiled = _Judge(interpreted=False) if compiled.is_fresh() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._interpreted.end()
        if self._compiled is not None:
            self._compiled.end()

    def faults(self, asked: Experiment) -> list[str]:
        """What is wrong with what is predicted of an experiment; nothing, mostly."""
        document = json.dumps(to_dict(asked)).encode()
        judges = [self._interpreted, *([self._compiled] if self._compiled is not None else [])]
        for judge in judges:
            judge.ask(document)
        verdicts = [judge.answer() for judge in judges]
        faults = [fault for each in verdicts for fault in each.faults]
        if len({each.fingerprint for each in verdicts}) > 1 and not faults:
            faults.append("the compiled model predicts something else than the interpreted one")
        return faults
