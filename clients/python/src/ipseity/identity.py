"""Identities, and blocks of them: packing, texts, order. No I/O.

    bit 63   62 ........................ 10   9 ....... 0
      0      sequence (53 bits, from 1)       pid (10 bits, 0..=1023)

An Identity *is* an int. So it compares, sorts, hashes and pickles as one, a dict finds it by its number, and every
database driver takes it for BIGINT as it is. A class of its own around a number would need an adapter for each of
these, and would cost a source twice the time.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence as AbstractSequence
from typing import Iterator, Union, overload

from .errors import ConfigurationError

PID_BITS = 10
PID_MAX = (1 << PID_BITS) - 1
SEQUENCE_MAX = 2**53 - 1
IDENTITY_MAX = 2**63 - 1

#: How far apart two identities of one block stand: one sequence.
STRIDE = 1 << PID_BITS

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE32_LENGTH = 13

# Only ASCII digits: int() would take those of every script, and underscores.
_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"0[xX]([0-9a-fA-F]+)")
_PAIR = re.compile(r"([0-9]+):([0-9]+)")

# The value of each character, with those that D. Crockford reads for 1 and 0.
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_VALUES.update({character.lower(): value for character, value in list(_VALUES.items())})
_VALUES.update({"I": 1, "i": 1, "L": 1, "l": 1, "O": 0, "o": 0})

# The most digits of a number that is looked at. 2^64 has 20, and zeros may stand before it. int() refuses texts of
# thousands of digits with an error of its own.
_DIGITS_MAX = 1000


class Identity(int):
    """A unique, increasing 63-bit integer, 0 to 2^63 - 1. It is an int in every way.

    >>> identity = Identity(1025)
    >>> identity.sequence, identity.pid
    (1, 1)
    >>> str(identity), identity.hex(), identity.pair(), identity.base32()
    ('1025', '0x401', '1:1', '0000000000101')
    >>> Identity.parse("1:1") == 1025
    True
    """

    __slots__ = ()

    def __new__(cls, value: int) -> Identity:
        """The identity with this number. ConfigurationError if it has more than 63 bits or is negative.

        TypeError if it is no integer; texts are for `parse`.
        """
        value = operator.index(value)
        if not 0 <= value <= IDENTITY_MAX:
            raise ConfigurationError(f"{_short(value)} is not an identity: it is 0 to {IDENTITY_MAX}")
        return int.__new__(cls, value)

    @classmethod
    def of(cls, sequence: int, pid: int) -> Identity:
        """The identity with this sequence, 0 to 2^53 - 1, and this pid, 0 to 1023. Otherwise ConfigurationError."""
        if not 0 <= sequence <= SEQUENCE_MAX:
            raise ConfigurationError(f"sequence {_short(sequence)} is not 0 to {SEQUENCE_MAX}")
        if not 0 <= pid <= PID_MAX:
            raise ConfigurationError(f"pid {_short(pid)} is not 0 to {PID_MAX}")
        return cls((sequence << PID_BITS) | pid)

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Reads decimal (`1025`), hexadecimal (`0x401`) or sequence:pid (`1:1`). ConfigurationError for all else.

        base32 has a function of its own, from_base32, because `1000000000000` may be either.
        """
        if len(text) <= _DIGITS_MAX:
            if _DECIMAL.fullmatch(text):
                return cls(int(text))
            if match := _HEX.fullmatch(text):
                return cls(int(match[1], 16))
            if match := _PAIR.fullmatch(text):
                return cls.of(int(match[1]), int(match[2]))
        raise ConfigurationError(
            f"{_short(text)} is not an identity: expected decimal (1025), hexadecimal (0x401) or sequence:pid (1:1)"
        )

    @classmethod
    def from_base32(cls, text: str) -> Identity:
        """Reads the 13 characters that base32 writes. ConfigurationError for all else."""
        if len(text) != _BASE32_LENGTH or not all(character in _VALUES for character in text):
            raise ConfigurationError(
                f"{_short(text)} is not an identity in base32: it has 13 characters of {_ALPHABET}"
            )
        value = 0
        for character in text:
            value = value << 5 | _VALUES[character]
        if value > IDENTITY_MAX:
            raise ConfigurationError(f"{_short(text)} is not an identity in base32: its first character is 0 to 7")
        return cls(value)

    @property
    def sequence(self) -> int:
        """The counter of the server when it handed this identity out, 0 to 2^53 - 1."""
        return int.__rshift__(self, PID_BITS)

    @property
    def pid(self) -> int:
        """The number of the server that handed it out, 0 to 1023."""
        return int.__and__(self, PID_MAX)

    def hex(self) -> str:
        """`0x401`: small letters, no zeros in front."""
        return f"{int(self):#x}"

    def pair(self) -> str:
        """`1:1`: sequence and pid, in decimal."""
        return f"{self.sequence}:{self.pid}"

    def base32(self) -> str:
        """`0000000000101`: always 13 characters, which sort as text in the order of the numbers."""
        return "".join(_ALPHABET[self >> shift & 31] for shift in range(60, -1, -5))

    # str() of an int shows what repr() shows, and here they differ.
    def __str__(self) -> str:
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"Identity({int.__repr__(self)})"


class Block(AbstractSequence[Identity]):
    """Identities that one request has brought: one pid, and sequences in a row. It is a sequence that takes no memory.

    >>> block = Block(Identity(1025), 3)
    >>> list(block)
    [Identity(1025), Identity(2049), Identity(3073)]
    """

    __slots__ = ("_numbers",)

    def __init__(self, first: Identity, count: int) -> None:
        """The block of `count` identities, 1 or more, that begins with `first`. ConfigurationError if there are none."""
        if count < 1:
            raise ConfigurationError(f"a block has 1 identity or more, and not {_short(count)}")
        self._numbers = range(first, Identity(first + (count - 1) * STRIDE) + 1, STRIDE)

    @property
    def first(self) -> Identity:
        """The first, which is the smallest."""
        return Identity(self._numbers[0])

    @property
    def last(self) -> Identity:
        """The last, which is the greatest."""
        return Identity(self._numbers[-1])

    @property
    def pid(self) -> int:
        """The pid that all of them have."""
        return self.first.pid

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Identity]:
        return map(Identity, self._numbers)

    def __contains__(self, identity: object) -> bool:
        return identity in self._numbers

    @overload
    def __getitem__(self, index: int) -> Identity: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Identity, ...]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Identity, tuple[Identity, ...]]:
        if isinstance(index, slice):
            return tuple(map(Identity, self._numbers[index]))
        return Identity(self._numbers[index])

    def __eq__(self, other: object) -> bool:
        return self._numbers == other._numbers if isinstance(other, Block) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._numbers)

    def __repr__(self) -> str:
        return f"Block({self.first!r}, {len(self)})"


def _short(value: object) -> str:
    """A wrong value for an error: in one line, and cut where it is long."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:60] + "..."
