"""M/M/4 as SimPy's documentation teaches it, as a program that does nothing else.

``python tests/benchmarks/textbook.py REQUESTS`` prints the mean response time, s. The benchmark
compares the CPU time of this whole process with that of ``python -m sim``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from random import Random

import simpy

RATE = 50.0  # requests / s
SERVICE = 0.05  # mean s of a request
SERVERS = 4


def main() -> None:
    """Simulate as many requests as the command line says, and print their mean response time."""
    requests, random = int(sys.argv[1]), Random(1)
    environment = simpy.Environment()
    servers = simpy.Resource(environment, SERVERS)
    responses: list[float] = []

    def request() -> Generator[simpy.Event, object, None]:
        arrival = environment.now
        with servers.request() as turn:
            yield turn
            yield environment.timeout(random.expovariate(1 / SERVICE))
        responses.append(environment.now - arrival)

    def arrivals() -> Generator[simpy.Event, object, None]:
        for _ in range(requests):
            yield environment.timeout(random.expovariate(RATE))
            environment.process(request())

    environment.process(arrivals())
    environment.run()
    sys.stdout.write(f"{sum(responses) / len(responses)}\n")


if __name__ == "__main__":
    main()
