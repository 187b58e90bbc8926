"""CONFIG_HZ of the kernel that runs here: ticks of its timers per second."""

from __future__ import annotations

import gzip
import platform
import re
from collections.abc import Iterable
from pathlib import Path


def config_files() -> tuple[Path, ...]:
    """Where the configuration of the running kernel can be, the likelier place first."""
    return (Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}"))


def kernel_hz(files: Iterable[Path] | None = None) -> int | None:
    """Ticks per second of this machine's kernel; None where no file says so.

    Args:
        files: configurations of the kernel, compressed if they end in ``.gz``; `config_files` of
            this machine, if None.
    """
    for path in config_files() if files is None else files:
        try:
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        except (OSError, EOFError, ValueError):
            continue
        if match := re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE):
            return int(match[1])
    return None
