"""What a request's steps cost, where compiled code has it at hand.

The model's own classes are C structs once they are compiled: a field is read in a few instructions.
A field of any other object is looked up by name, which takes a hundred and more.
"""

from __future__ import annotations

from sim.experiment.costs import Costs


class StepCosts:
    """The part of `Costs` that every request pays, under the same names."""

    __slots__ = (
        "accept",
        "connect",
        "dispatch",
        "finish",
        "first_request",
        "follow",
        "linger",
        "receive",
        "request",
        "respond",
        "send",
        "sync_finish",
        "timer_slack",
        "to_thread",
    )

    def __init__(self, costs: Costs) -> None:
        self.connect = costs.connect
        self.send = costs.send
        self.accept = costs.accept
        self.follow = costs.follow
        self.dispatch = costs.dispatch
        self.request = costs.request
        self.first_request = costs.first_request
        self.timer_slack = costs.timer_slack
        self.respond = costs.respond
        self.receive = costs.receive
        self.finish = costs.finish
        self.sync_finish = costs.sync_finish
        self.linger = costs.linger
        self.to_thread = costs.to_thread
