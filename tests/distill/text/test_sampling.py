"""Shares equal their formulas, and what is drawn follows them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.distill.text.blocks import Rows, Stream
from polymux.distill.text.sampling import SAMPLINGS, Draw, Mix, sampling_named
from polymux.errors import UsageError

SIZES = {"te": 1.0, "ur": 4.0, "de": 16.0}


def share(mix: Mix, language: str) -> float:
    """Over the whole run."""
    begins = [0.0, *(until for until, _ in mix.phases)]
    return sum(
        (until - begin) * drawn[language]
        for begin, (until, drawn) in zip(begins, mix.phases, strict=False)
    )


def shares(name: str, budget: float = 10.0, **options: float) -> dict[str, float]:
    mix = SAMPLINGS[name](SIZES, budget, options)
    return {language: share(mix, language) for language in SIZES}


def test_all_draws_by_size() -> None:
    assert shares("all") == pytest.approx({"te": 1 / 21, "ur": 4 / 21, "de": 16 / 21})


@pytest.mark.parametrize(("alpha", "kept"), [(0.0, (1, 1, 1)), (0.5, (1, 2, 4)), (1.0, (1, 4, 16))])
def test_balanced_cuts_to_the_smallest_by_its_formula(alpha: float, kept: tuple[int, ...]) -> None:
    mix = SAMPLINGS["balanced"](SIZES, 10.0, {"alpha": alpha})
    assert tuple(mix.kept.values()) == pytest.approx(kept)
    assert share(mix, "de") == pytest.approx(kept[2] / sum(kept))


def test_temperature_keeps_all_and_draws_by_a_power() -> None:
    assert shares("temperature", tau=0.5) == pytest.approx({"te": 1 / 7, "ur": 2 / 7, "de": 4 / 7})
    assert SAMPLINGS["temperature"](SIZES, 10.0, {}).kept == SIZES


def test_unimax_gives_equal_parts_up_to_the_cap_of_epochs() -> None:
    # Of 30, te may have 4 x 1; of the 26 left ur has 13, below its cap of 16; so has de.
    assert shares("unimax", 30.0) == pytest.approx({"te": 4 / 30, "ur": 13 / 30, "de": 13 / 30})
    assert shares("unimax", 3.0) == pytest.approx(dict.fromkeys(SIZES, 1 / 3))


def test_annealing_raises_small_languages_as_the_run_goes_on() -> None:
    phases = SAMPLINGS["annealed"](SIZES, 10.0, {}).phases
    assert [until for until, _ in phases] == [0.6, 0.8, 1.0]
    for (_, part), tau in zip(phases, (0.7, 0.5, 0.3), strict=True):
        total = sum(size**tau for size in SIZES.values())
        assert part["te"] == pytest.approx(1 / total)


def rows(lines: int, first: int) -> Rows:
    """Lines of one token each, numbered from `first`; a row is a line."""
    ids = np.array([[first + i, 2] for i in range(lines)], np.uint16).ravel()
    ends = np.arange(2, 2 * lines + 1, 2)
    sizes = {unit: ends.astype(float) for unit in ("bytes", "characters", "tokens")}
    return Rows(Stream(ids, ends, sizes), lines, 8, False, 1, 2)


def draw(seed: int = 0) -> Draw:
    return Draw.planned(
        {"te": rows(3, 100), "de": rows(20, 200)},
        [(0.5, {"te": 0.25, "de": 0.75}), (1.0, {"te": 0.75, "de": 0.25})],
        updates=8,
        rows_an_update=6,
        seed=seed,
    )


def test_drawn_rows_follow_the_shares_of_their_phase_within_a_row() -> None:
    made = draw()
    wanted = np.cumsum([0.25 * 6] * 4 + [0.75 * 6] * 4)
    assert np.abs(made.counts[1:, 0] - wanted).max() <= 1
    assert made.counts[-1].sum() == 48
    assert all(len(made(update)[0]) == 6 for update in range(8))
    assert made.epochs == pytest.approx([24 / 3, 24 / 20])


def test_every_row_is_read_once_a_pass_and_each_pass_in_another_order() -> None:
    made = draw()
    drawn = [b for update in range(8) for b in made(update)[0] if b.language == 0]
    by_pass: dict[int, list[int]] = {}
    for block in drawn:
        by_pass.setdefault(block.passes, []).append(block.place)
    assert all(sorted(places) == [0, 1, 2] for places in by_pass.values())
    assert len(by_pass) == 8
    assert len({tuple(made._order(0, passes)) for passes in range(8)}) > 1


def test_an_update_depends_on_its_number_and_the_seed_alone() -> None:
    first, again, other = draw(), draw(), draw(1)
    list(map(first, range(5)))

    def drawn(made: Draw) -> list[tuple[int, int, int]]:
        return [(b.language, b.place, b.passes) for b in made(5)[0]]

    assert drawn(first) == drawn(again)
    assert drawn(first) != drawn(other)


@given(
    sizes=st.lists(st.floats(0.1, 1000.0), min_size=1, max_size=6),
    name=st.sampled_from(sorted(SAMPLINGS)),
    budget=st.floats(1.0, 1e4),
)
def test_shares_of_every_sampling_sum_to_one_and_nothing_is_kept_that_is_not_there(
    sizes: list[float], name: str, budget: float
) -> None:
    named = {str(i): size for i, size in enumerate(sizes)}
    mix = sampling_named(name)(named, budget, {})
    assert list(mix.kept) == list(named)
    for language, size in named.items():
        assert 0 < mix.kept[language] <= size * (1 + 1e-9)
    for _, shares in mix.phases:
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) > 0
    assert mix.phases[-1][0] == 1.0
    # Nobody turns the order of the languages around: a larger one has at least as large a share.
    for one in named:
        for other in named:
            if named[one] <= named[other]:
                assert share(mix, one) <= share(mix, other) * (1 + 1e-9)


def test_what_is_equal_by_default_is_equal() -> None:
    mix = SAMPLINGS["balanced"](SIZES, 10.0, {})
    assert dict(mix.kept) == pytest.approx(dict.fromkeys(SIZES, 1.0))
    assert shares("temperature") == pytest.approx(shares("temperature", tau=0.5))
    assert shares("temperature", tau=1.0) == pytest.approx(shares("all"))
    assert shares("temperature", tau=0.0) == pytest.approx(dict.fromkeys(SIZES, 1 / 3))


def test_unimax_hands_what_capped_languages_leave_to_the_larger_ones() -> None:
    # Of 60 each would have 20; te takes 2, ur 8 of the 29 that it might, de 32 of the 50 left.
    assert shares("unimax", 60.0, epochs=2.0) == pytest.approx(
        {"te": 2 / 42, "ur": 8 / 42, "de": 32 / 42}
    )
    # Whichever stands first in the file.
    turned = dict(reversed(SIZES.items()))
    mix = SAMPLINGS["unimax"](turned, 30.0, {})
    assert [share(mix, language) for language in turned] == pytest.approx(
        [13 / 30, 13 / 30, 4 / 30]
    )


def test_an_unknown_sampling_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="no sampling 'fair'") as error:
        sampling_named("fair")
    assert all(name in str(error.value) for name in SAMPLINGS)


@given(
    parts=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5),
    updates=st.integers(1, 40),
    rows_an_update=st.integers(1, 12),
)
def test_counts_of_one_phase_follow_its_shares_within_a_row_at_every_update(
    parts: list[float], updates: int, rows_an_update: int
) -> None:
    own = {str(i): rows(3, 100) for i in range(len(parts))}
    part = {str(i): size / sum(parts) for i, size in enumerate(parts)}
    made = Draw.planned(own, [(1.0, part)], updates=updates, rows_an_update=rows_an_update, seed=0)
    assert made.counts[0].tolist() == [0] * len(parts)
    steps = np.diff(made.counts, axis=0)
    assert (steps >= 0).all()
    assert (steps.sum(1) == rows_an_update).all()
    wanted = np.outer(np.arange(1, updates + 1) * rows_an_update, list(part.values()))
    assert np.abs(made.counts[1:] - wanted).max() < len(parts)
    assert np.abs(made.counts[-1] - wanted[-1]).max() < 2


def test_two_languages_are_drawn_in_even_turns() -> None:
    part = {"te": 0.25, "de": 0.75}
    made = Draw.planned(
        {"te": rows(3, 100), "de": rows(5, 200)}, [(1.0, part)],
        updates=12, rows_an_update=1, seed=0,
    )  # fmt: skip
    taken = np.flatnonzero(np.diff(made.counts[:, 0]))
    assert len(taken) == 3
    assert {after - before for before, after in pairwise(taken.tolist())} == {4}


@given(updates=st.lists(st.integers(0, 7), min_size=1, max_size=8), seed=st.integers(0, 9))
def test_whatever_was_drawn_before_an_update_reads_the_same_rows(
    updates: list[int], seed: int
) -> None:
    made, alone = draw(seed), draw(seed)
    for update in updates:
        found = made(update)[0]
        made(7 - update)
        assert [b.ids.tolist() for b in found] == [b.ids.tolist() for b in alone(update)[0]]


@given(at=st.integers(0, 8), seed=st.integers(0, 9))
def test_a_training_that_is_resumed_anywhere_reads_what_is_left(at: int, seed: int) -> None:
    whole = [(b.language, b.place, b.passes) for u in range(8) for b in draw(seed)(u)[0]]
    parts = [
        (b.language, b.place, b.passes)
        for made, updates in ((draw(seed), range(at)), (draw(seed), range(at, 8)))
        for update in updates
        for b in made(update)[0]
    ]
    assert parts == whole


def test_a_block_carries_the_row_of_its_place_and_language() -> None:
    made = draw()
    for update in range(8):
        for block in made(update)[0]:
            first = (100, 200)[block.language]
            assert block.ids.tolist() == [1, first + block.place, 2]


def test_languages_are_mixed_within_an_update_and_not_always_alike() -> None:
    made = draw()
    orders = {tuple(b.language for b in made(update)[0]) for update in range(4, 8)}
    assert len(orders) > 1
    assert any(list(order) != sorted(order) for order in orders)


def test_rows_of_an_update_stand_in_an_order_that_the_seed_decides() -> None:
    one = {"a": rows(1, 100), "b": rows(1, 200)}
    orders = {
        tuple(
            block.language
            for update in range(8)
            for block in Draw.planned(
                one, [(1.0, {"a": 0.5, "b": 0.5})], updates=8, rows_an_update=2, seed=seed
            )(update)[0]
        )
        for seed in range(4)
    }
    assert len(orders) > 1
