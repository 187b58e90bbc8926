"""Starts real nginx in front of a real Gunicorn, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from reference_app.rig.address import HOST, Address, reserved_port
from reference_app.rig.parent import end_with_parent
from sim.errors import ExperimentError
from sim.experiment import Proxy

ROOT = Path(__file__).resolve().parents[2]

#: Where distributions put it, which not every user's PATH contains.
SBIN = "/usr/sbin:/usr/local/sbin"

#: s that nginx may take to listen, and to end.
BOOT = 10.0
STOP = 5.0
#: s between two looks.
LOOK = 0.02

#: One process that is master and worker: `Proxy` has one worker, and nothing is left of it if it is
#: killed. Its temporary files go where the rig can remove them.
CONFIGURATION = Template("""\
daemon off;
master_process off;
pid $directory/pid;
error_log stderr error;
events { worker_connections 8192; }
http {
    log_format wait '[$$time_local] $$msec "$$request" $$status $$upstream_response_time';
    access_log $access_log;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    fastcgi_temp_path $directory/fastcgi;
    uwsgi_temp_path $directory/uwsgi;
    scgi_temp_path $directory/scgi;
    upstream gunicorn {
        server $upstream;
        $keepalive
    }
    server {
        listen $listen backlog=4096;
        keepalive_requests 100000000;
        location / {
            proxy_pass http://gunicorn;
            $version
            proxy_connect_timeout ${connect_timeout}ms;
            proxy_read_timeout ${read_timeout}ms;
        }
    }
}
""")


def find_nginx() -> str | None:
    """The path of the nginx that is installed; None where there is none."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{SBIN}")


def version() -> str:
    """The version of the nginx that is installed.

    Raises:
        ExperimentError: when there is none.
    """
    command = [_program(), "-v"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stderr.strip().rpartition("/")[2]


def _program() -> str:
    program = find_nginx()
    if program is None:
        raise ExperimentError(
            "the experiment has the proxy nginx, which is not installed; expected the program "
            "nginx on PATH or in /usr/sbin (Debian and Ubuntu: apt-get install nginx-light)"
        )
    return program


def configuration(
    proxy: Proxy,
    directory: str,
    upstream: Address,
    listen: Address,
    access_log: Path | None = None,
) -> str:
    """The nginx.conf of a ``proxy`` that listens at ``listen`` and passes on to ``upstream``."""
    keepalive = version = ""
    if proxy.kept:
        keepalive = (
            f"keepalive {proxy.kept}; keepalive_requests 100000000; "
            f"keepalive_timeout {round(proxy.idle_timeout * 1000)}ms;"
        )
        version = 'proxy_http_version 1.1; proxy_set_header Connection "";'
    return CONFIGURATION.substitute(
        directory=directory,
        access_log="off" if access_log is None else f"{access_log} wait",
        upstream=_written(upstream),
        listen=_written(listen),
        keepalive=keepalive,
        version=version,
        connect_timeout=round(proxy.patience * 1000),
        read_timeout=round(proxy.read_timeout * 1000),
    )


def _written(address: Address) -> str:
    return f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"


@contextmanager
def running_nginx(
    proxy: Proxy, upstream: Address, access_log: Path | None = None
) -> Iterator[Address]:
    """Run nginx in front of ``upstream``; the block gets the address that it listens at.

    Args:
        proxy: its settings.
        upstream: where Gunicorn listens.
        access_log: file that it logs each request to; None for none.

    Raises:
        ExperimentError: when nginx is not installed, or does not come up.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as directory, reserved_port(reuse_port=False) as port:
        listen = (HOST, port)
        file = Path(directory, "nginx.conf")
        file.write_text(configuration(proxy, directory, upstream, listen, access_log))
        log = Path(directory, "error.log")
        command = [program, "-p", directory, "-c", str(file)]
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - an installed program, our own file
                [sys.executable, "-c", _BOUND, str(os.getpid()), *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                # As the server: see `reference_app.rig.server`.
                process_group=0,
            )
        try:
            _wait_until_listening(process, listen, log)
            yield listen
        finally:
            _stop(process)


#: What the child does: end with the rig, and be nginx.
_BOUND = "from reference_app.rig.nginx import end_with_the_rig; end_with_the_rig()"


def end_with_the_rig() -> None:
    """Run the program of ``sys.argv[2:]``, which the kernel ends when the rig dies."""
    rig, *command = sys.argv[1:]
    end_with_parent(int(rig), signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606 - an installed program


def _wait_until_listening(process: subprocess.Popen[bytes], listen: Address, log: Path) -> None:
    deadline = time.monotonic() + BOOT
    while not _listens(listen):
        ended = process.poll()
        if ended is None and time.monotonic() < deadline:
            time.sleep(LOOK)
            continue
        what = f"exited with {ended}" if ended is not None else f"took over {BOOT:g} s"
        lines = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise ExperimentError(f"nginx {what} before it listened; its log ends: {lines[-1]}")


def _listens(address: Address) -> bool:
    """Whether a socket listens there (/proc/net/tcp), without a connection that nginx would see."""
    place = f":{address[1]:04X} 00000000:0000 0A"
    return any(place in line for line in Path("/proc/net/tcp").read_text().splitlines())


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
