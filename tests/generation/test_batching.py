from __future__ import annotations

import pytest
import torch

from awry.errors import UserError
from awry.generation.batching import LEAST, Room, clusters, cut, out_of_memory


def text(*parts: tuple[int, int]) -> tuple[int, ...]:
    """Runs of (token, length)."""
    return tuple(token for token, length in parts for _ in range(length))


def test_texts_that_begin_alike_are_together_longest_first() -> None:
    few_shot = [text((1, 100), (10 + i, 5 + i)) for i in range(3)]
    alone = text((2, 50))
    found = clusters([few_shot[0], alone, few_shot[2], few_shot[1]])
    assert [(c.shared, c.members) for c in found] == [(100, (2, 3, 0)), (0, (1,))]


def test_a_text_keeps_a_token_of_its_own() -> None:
    same = text((1, 40))
    assert [(c.shared, c.members) for c in clusters([same, same])] == [(39, (0, 1))]
    (found,) = clusters([same, text((1, 40), (2, 3))])
    assert found.shared == 39


def test_a_short_beginning_is_not_shared() -> None:
    texts = [text((1, LEAST - 1), (i, 30)) for i in (5, 6)]
    assert [c.shared for c in clusters(texts)] == [0, 0]


def test_a_stranger_does_not_cost_a_cluster_its_long_beginning() -> None:
    texts = [text((1, 400), (10 + i, 5)) for i in range(4)] + [text((1, 20), (3, 50))]
    assert sorted((c.shared, len(c.members)) for c in clusters(texts)) == [(0, 1), (400, 4)]


def test_every_text_is_in_one_cluster_and_begins_with_what_it_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    stems = [torch.randint(0, 3, (30,), generator=generator).tolist() for _ in range(3)]
    texts = []
    for i in range(60):
        tail = torch.randint(0, 3, (1 + i % 7,), generator=generator).tolist()
        texts.append((*stems[i % 3][: 10 + i % 20], *tail))
    found = clusters(texts)
    assert sorted(i for c in found for i in c.members) == list(range(60))
    for cluster in found:
        beginnings = {texts[i][: cluster.shared] for i in cluster.members}
        assert len(beginnings) == 1
        assert all(len(texts[i]) > cluster.shared for i in cluster.members)
        lengths = [len(texts[i]) for i in cluster.members]
        assert lengths == sorted(lengths, reverse=True)
    assert any(c.shared for c in found)


def test_sizes_decide_what_is_long() -> None:
    found = clusters([text((1, 3)), text((2, 30))], [500, 31])
    assert [c.members for c in found] == [(0,), (1,)]


def test_cut() -> None:
    assert [list(r) for r in cut([3, 3, 3, 9, 1, 1], 6)] == [[0, 1], [2], [3], [4, 5]]
    assert cut([], 6) == []


def test_room_is_halved_until_the_work_fits_and_stays_so() -> None:
    tried: list[int] = []

    def work(size: int) -> str:
        tried.append(size)
        if size > 10:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"
            )
        return "done"

    room = Room("things")
    assert room.attempt(64, work) == "done"
    assert tried == [64, 32, 16, 8]
    room.attempt(64, work)
    assert tried[4:] == [8]
    assert room.size(4) == 4


def test_other_errors_pass_and_one_that_never_fits_is_the_users() -> None:
    def broken(size: int) -> None:
        raise RuntimeError("shapes do not match")

    def hungry(size: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="shapes"):
        Room("things").attempt(4, broken)
    with pytest.raises(UserError, match="not enough memory for one of the things"):
        Room("things").attempt(4, hungry)


def test_what_the_allocator_really_says_is_known() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as error:
        torch.empty(2**58, dtype=torch.uint8)
    assert out_of_memory(error.value)
