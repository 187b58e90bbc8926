"""Hands the tests of a session out to its processes, by what `kinds` says may run together."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from kinds import SPREAD, Kind, compiled_process, kind_of, kinds_for, place
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: Tests that a process may have while it is given more: it starts none before it knows the next.
HELD_BACK = 1


class KindScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Scheduling by file, or by test where files are long, of all kinds of tests in one session.

    Args:
        config: of the session.
        log: of pytest-xdist.
    """

    collection: list[str] | None

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._kinds: dict[WorkerController, tuple[Kind, ...]] = {}

    def schedule(self) -> None:
        """Begin, or go on with a process that has taken the place of one that crashed."""
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = list(next(iter(self.registered_collections.values())))
            for nodeid in sorted(self.collection, key=lambda it: place(_path_of(it))):
                self.workqueue.setdefault(self._split_scope(nodeid), {})[nodeid] = False
            present = {_kind_of(scope) for scope in self.workqueue}
            for number, node in enumerate(sorted(self.nodes, key=_number)):
                self._kinds[node] = kinds_for(number, len(self.nodes), present, compiled_process())
        for node in self.nodes:
            self._reschedule(node)

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """See `LoadScopeScheduling`; the process that measures may have waited for this."""
        super().mark_test_complete(node, item_index, duration)
        self._measure()

    def remove_node(self, node: WorkerController) -> str | None:
        """See `LoadScopeScheduling`; the process that measures may have waited for this."""
        crashed: str | None = super().remove_node(node)
        self._measure()
        return crashed

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if PurePath(file).stem in SPREAD else file

    def _reschedule(self, node: WorkerController) -> None:
        """Give a process more tests if it is about to have none, or end it."""
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) <= HELD_BACK:
            # One that replaces a process that crashed runs whatever is left.
            kinds = self._kinds.get(node, tuple(Kind))
            scope = next(
                (it for kind in kinds for it in self.workqueue if _kind_of(it) is kind), None
            )
            if scope is None:
                node.shutdown()
            elif self._waits(node, _kind_of(scope)):
                return
            else:
                self.workqueue.move_to_end(scope, last=False)
                self._assign_work_unit(node)

    def _waits(self, node: WorkerController, kind: Kind) -> bool:
        """Whether a process may not yet begin tests of a kind."""
        if kind is Kind.MEASURES:
            return not self._is_alone(node)
        return kind is Kind.BROWSES and self._serves(node)

    def _is_alone(self, node: WorkerController) -> bool:
        """Whether no other process has a test to run."""
        return not any(
            self._pending_of(work)
            for other, work in self.assigned_work.items()
            if other is not node
        )

    def _serves(self, node: WorkerController) -> bool:
        """Whether a test that serves is left, but for the last of each process.

        That may be held back until the process knows what to measure.
        """
        if any(_kind_of(scope) is Kind.SERVES for scope in self.workqueue):
            return True
        left = (
            sum(
                list(done.values()).count(False)
                for scope, done in work.items()
                if _kind_of(scope) is Kind.SERVES
            )
            for other, work in self.assigned_work.items()
            if other is not node
        )
        return any(number > HELD_BACK for number in left)

    def _measure(self) -> None:
        """Let processes go on that have waited for others."""
        for node in list(self.nodes):
            if {Kind.MEASURES, Kind.BROWSES} & {*self._kinds.get(node, tuple(Kind))}:
                self._reschedule(node)


def _number(node: WorkerController) -> int:
    return int(node.gateway.id.removeprefix("gw"))


def _path_of(scope: str) -> PurePath:
    return PurePath(scope.partition("::")[0])


def _kind_of(scope: str) -> Kind:
    return kind_of(_path_of(scope))
