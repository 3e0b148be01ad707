"""Which texts are computed together: those that begin alike, the longest first.

Longest first makes the estimate of the time left pessimistic and meets a shortage of memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from awry.errors import UserError

Result = TypeVar("Result")
LEAST = 16  # tokens of prefix below which sharing is not worth a forward pass of its own


@dataclass(frozen=True)
class Cluster:
    """Texts by number, longest first, whose first `shared` tokens are the same."""

    shared: int
    members: tuple[int, ...]


def clusters(texts: Sequence[tuple[int, ...]], sizes: Sequence[int] | None = None) -> list[Cluster]:
    """Texts grouped by what they begin with, so that few tokens are computed twice; every text has
    at least one token after the shared ones. sizes: what counts as long (default: tokens).

    In sorted order texts that begin alike are neighbours; one joins the cluster before it unless the
    shorter prefix that is then left saves less than the cluster without it.
    """
    lengths = [len(t) for t in texts] if sizes is None else list(sizes)
    groups: list[tuple[int, list[int]]] = []
    order = sorted(range(len(texts)), key=lambda i: texts[i])
    for i in order:
        if groups:
            shared, members = groups[-1]
            both = min(shared, _common(texts[members[-1]], texts[i]), len(texts[i]) - 1)
            if both >= LEAST and both * len(members) >= shared * (len(members) - 1):
                members.append(i)
                groups[-1] = (both, members)
                continue
        groups.append((len(texts[i]) - 1, [i]))
    found = [
        Cluster(
            shared if len(members) > 1 else 0,
            tuple(sorted(members, key=lambda i: (-lengths[i], i))),
        )
        for shared, members in groups
    ]
    return sorted(found, key=lambda c: (-lengths[c.members[0]], c.members[0]))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def cut(sizes: Sequence[int], most: int) -> list[range]:
    """Consecutive places in `sizes` whose sums are at most `most` (one larger stands alone)."""
    parts: list[range] = []
    start = total = 0
    for i, size in enumerate(sizes):
        if i > start and total + size > most:
            parts.append(range(start, i))
            start, total = i, 0
        total += size
    if start < len(sizes):
        parts.append(range(start, len(sizes)))
    return parts


def out_of_memory(error: BaseException) -> bool:
    """Whether fewer rows could help: an accelerator's, the allocator's or Python's own word for it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "not enough memory" in text or "out of memory" in text
    )


class Room:
    """How much is computed at once, found by trying: halved when memory runs out, and remembered."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.limit: int | None = None

    def size(self, wanted: int) -> int:
        return wanted if self.limit is None else min(wanted, self.limit)

    def attempt(self, wanted: int, work: Callable[[int], Result]) -> Result:
        """work(size), again with half the size when it runs out of memory. `work` must be able to
        go on after such an error. Raises UserError when a single one does not fit."""
        while True:
            size = self.size(wanted)
            try:
                return work(size)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                if size <= 1:
                    raise UserError(
                        f"there is not enough memory for one of the {self.what}",
                        fix="use a machine with more memory, a smaller model, shorter prompts or a "
                        "lower limit on new tokens",
                    ) from error
                self.limit = size // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
