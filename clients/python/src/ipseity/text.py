"""Texts that came from somebody else, made safe to show. It imports nothing of ours."""

from __future__ import annotations

import re

# Control characters can move the cursor, line separators can forge a line, directional marks can change the order in which
# a text is shown, and half of a surrogate pair cannot be written at all.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether every character of it stays on its line and in its place."""
    return _ODD.search(text) is None


def plain(text: str) -> str:
    """The text in one line that a terminal can be trusted with: what is not plain is written as its escape."""
    return _ODD.sub(lambda odd: odd[0].encode("unicode_escape").decode("ascii"), text)


def quoted(text: str) -> str:
    """The same in quotes, for an error that shows what it was given."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{plain(escaped)}"'


def seconds(value: float) -> str:
    """A time for people: `250 ms`, `1.5 s`."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.4g} s"
