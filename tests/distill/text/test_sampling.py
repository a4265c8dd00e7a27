"""Shares equal their formulas, and what is drawn follows them."""

from __future__ import annotations

import numpy as np
import pytest

from polymux.distill.text.blocks import Rows, Stream
from polymux.distill.text.sampling import SAMPLINGS, Draw

SIZES = {"te": 1.0, "ur": 4.0, "de": 16.0}


def shares(name: str, budget: float = 10.0, **options: float) -> dict[str, float]:
    mix = SAMPLINGS[name](SIZES, budget, options)
    return {language: mix.share(language) for language in SIZES}


def test_all_draws_by_size() -> None:
    assert shares("all") == pytest.approx({"te": 1 / 21, "ur": 4 / 21, "de": 16 / 21})


@pytest.mark.parametrize(("alpha", "kept"), [(0.0, (1, 1, 1)), (0.5, (1, 2, 4)), (1.0, (1, 4, 16))])
def test_balanced_cuts_to_the_smallest_by_its_formula(alpha: float, kept: tuple[int, ...]) -> None:
    mix = SAMPLINGS["balanced"](SIZES, 10.0, {"alpha": alpha})
    assert tuple(mix.kept.values()) == pytest.approx(kept)
    assert mix.share("de") == pytest.approx(kept[2] / sum(kept))


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
