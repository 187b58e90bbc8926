"""What the kernel does: listening socket, handshake, accept race, scheduler, timer wheel."""

from sim.compiled import prefer

prefer(__name__, __path__)
