"""New inputs from old ones, by a seeded stream of random numbers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from random import Random

from readers import LONGEST

#: Numbers at which something ends: of types, of limits, of sense.
NUMBERS = (
    *(b"0", b"-1", b"1", b"255", b"256", b"65536", b"2147483648", b"9223372036854775808"),
    *(b"1e308", b"1e-320", b"-0.0", b"nan", b"inf", b"1" * 400, b"9" * 5000, b"0x" + b"f" * 4400),
)

#: Bytes that end something: a line, a string, a text, an encoding.
BYTES = b"\0\n\r\t\x1b \"'\\,;:=[]{}()#%$<>-+*/.0~\x7f\x80\xc3\xed\xff"

#: Says which kind of fault an input has; empty for none.
Kind = Callable[[bytes], str]

_WORD = re.compile(rb"[A-Za-z_]+|\d+(?:\.\d+)?")


class Mutator:
    """Makes inputs; the same seed and corpus make the same ones."""

    def __init__(self, random: Random, seeds: Sequence[bytes]) -> None:
        self._random = random
        self.corpus = list(seeds)
        self._words = sorted({word for seed in seeds for word in _WORD.findall(seed)})

    def make(self) -> bytes:
        """An input that is one of the corpus but for a few changes, of `LONGEST` bytes at most."""
        data = self._random.choice(self.corpus)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 8))):
            data = self._changed(data)[:LONGEST]
        return data

    def _changed(self, data: bytes) -> bytes:  # noqa: PLR0911 - one for each kind of change
        random = self._random
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((1, 1, 2, 8, 64, 1024)))
        before, part, after = data[:start], data[start:end], data[end:]
        match random.randrange(9):
            case 0:
                return before + after
            case 1:
                return before + bytes([random.choice(BYTES)]) + after
            case 2:
                return before + bytes([random.choice(BYTES)]) + part + after
            case 3:
                return before + random.randbytes(random.choice((1, 2, 4, 16))) + after
            case 4:
                times = random.choice((2, 3, 20, 20, 300, 5000))
                return before + part * min(times, LONGEST // max(1, len(part)) + 1) + after
            case 5:
                return self._with_word(data, random.choice(NUMBERS))
            case 6 if self._words:
                return self._with_word(data, random.choice(self._words))
            case 7:
                other = random.choice(self.corpus)
                cut = random.randrange(len(other) + 1)
                return before + other[cut : cut + random.choice((8, 64, 1024))] + after
            case _:
                lines = data.splitlines(keepends=True) or [b""]
                line = lines.pop(random.randrange(len(lines)))
                lines.insert(random.randrange(len(lines) + 1), line)
                return b"".join(lines)

    def _with_word(self, data: bytes, word: bytes) -> bytes:
        """The input with ``word`` in place of one of its words."""
        places = [match.span() for match in _WORD.finditer(data, 0, 4096)]
        start, end = self._random.choice(places) if places else (len(data), len(data))
        return data[:start] + word + data[end:]


def smaller(data: bytes, kind: str, kind_of: Kind, most: int = 1_500, seconds: float = 5) -> bytes:
    """The shortest input of the same ``kind`` of fault that leaving out bytes leads to.

    Args:
        data: an input with a fault.
        kind: of that fault.
        kind_of: says which kind of fault an input has; empty for none.
        most: inputs that are tried.
        seconds: after which no other is tried; one that hangs takes a second each time.
    """
    size, tries, deadline = max(1, len(data) // 2), iter(range(most)), time.monotonic() + seconds

    def goes_on() -> bool:
        return next(tries, None) is not None and time.monotonic() < deadline

    going = True
    while going:
        start, before = 0, len(data)
        while start < len(data) and (going := goes_on()):
            shorter = data[:start] + data[start + size :]
            if kind_of(shorter) == kind:
                data = shorter
            else:
                start += size
        if size == 1 and len(data) == before:
            break
        size = max(1, size // 2)
    return data
