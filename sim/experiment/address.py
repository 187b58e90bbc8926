"""The address that a server listens at, as Gunicorn's `bind` has it."""

from __future__ import annotations

from sim.errors import ExperimentError

#: Begins the address of a Unix socket.
UNIX = "unix:"


#: Bytes of a Unix socket's path: ``sun_path`` of unix(7) has 108, of which the last is a NUL.
MAX_UNIX_PATH = 107


def check_address(address: str) -> None:
    """Refuse an ``address`` of ``bind`` that Gunicorn cannot listen at (`util.parse_address`)."""
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX).removeprefix("//")
        size = len(path.encode(errors="surrogatepass"))
        if not path or "\0" in path:
            raise ExperimentError(f"bind is {address!r}; expected unix: and the path of a socket")
        if size > MAX_UNIX_PATH:
            raise ExperimentError(
                f"bind is {address!r}, a path of {size} bytes; expected at most {MAX_UNIX_PATH}, "
                "for a Unix socket's address holds no more"
            )
        return
    scheme, _, rest = address.rpartition("://")
    _, colon, port = rest.rpartition(":")
    named = scheme != "fd" and (not colon or rest.endswith("]"))
    if not named and not port.isdecimal():
        raise ExperimentError(
            f"bind is {address!r}; expected HOST, HOST:PORT, unix:PATH or fd://FD"
        )
