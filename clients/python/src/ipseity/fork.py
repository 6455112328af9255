"""What a forked child must not share with its parent: connections, locks, and blocks of identities.

Everything that has one of these registers itself here, and begins anew in the child.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that begins anew in a forked child."""

    def _after_in_child(self) -> None: ...


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(forkable: Forkable) -> None:
    """Lets it be told of a fork, as long as it lives."""
    _forkables.add(forkable)


def _after_in_child() -> None:
    for forkable in list(_forkables):
        forkable._after_in_child()


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
