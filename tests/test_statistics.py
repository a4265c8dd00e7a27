"""The paired bootstrap: what it sums, what it draws together, what its interval covers."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from polymux.errors import UsageError
from polymux.statistics import accuracy, clustered_mean, f1, nested_mean, paired_bootstrap

CELL = ("de", "de")


def right_of_ten(generator: np.random.Generator, share: float, sentences: int = 200) -> np.ndarray:
    right = generator.binomial(10, share, size=sentences)
    return np.stack([right, np.full(sentences, 10)], axis=1)


def test_scores_are_those_of_the_sums() -> None:
    assert accuracy(np.array([3, 4])) == 0.75
    assert f1(np.array([1, 2, 4])) == pytest.approx(1 / 3)
    np.testing.assert_array_equal(accuracy(np.array([[0, 0], [1, 2]])), [0, 0.5])
    assert f1(np.array([0, 0, 0])) == 0


def test_the_observed_f1_is_of_sums_not_a_mean_of_sentences() -> None:
    ours = np.array([[1, 1, 1], [0, 3, 0]])
    theirs = np.array([[0, 0, 1], [0, 0, 0]])
    found = paired_bootstrap({0: {CELL: ours}}, {0: {CELL: theirs}}, [CELL], f1)
    assert found.ours == pytest.approx(2 / 5)
    assert found.theirs == 0
    assert found.observed == pytest.approx(2 / 5)


def test_a_mean_is_over_cells_and_seeds_alike() -> None:
    cells = [("a", "a"), ("a", "b")]

    def row(right: int, total: int) -> np.ndarray:
        return np.array([[right, total]])

    ours = {
        1: {cells[0]: row(1, 1), cells[1]: row(50, 100)},
        2: {cells[0]: row(0, 1), cells[1]: row(70, 100)},
    }
    theirs = {7: {cell: row(0, 1) for cell in cells}}
    found = paired_bootstrap(ours, theirs, cells, accuracy)
    assert found.observed == pytest.approx((1 + 0.5 + 0 + 0.7) / 4)
    assert (found.our_seeds, found.their_seeds, found.paired) == (2, 1, False)


def test_equal_systems_differ_by_nothing_in_every_resample() -> None:
    generator = np.random.default_rng(1)
    one = {seed: {CELL: right_of_ten(generator, 0.5)} for seed in range(3)}
    found = paired_bootstrap(one, dict(reversed(one.items())), [CELL], accuracy)
    assert (found.observed, found.low, found.high, found.better) == (0, 0, 0, 0.5)
    assert found.paired


def test_a_clear_winner_wins_every_resample() -> None:
    generator = np.random.default_rng(2)
    ours = {seed: {CELL: right_of_ten(generator, 0.9)} for seed in range(3)}
    theirs = {seed: {CELL: right_of_ten(generator, 0.5)} for seed in range(3)}
    found = paired_bootstrap(ours, theirs, [CELL], accuracy)
    assert found.better == 1
    assert 0.35 < found.low < found.observed < found.high < 0.45
    assert paired_bootstrap(theirs, ours, [CELL], accuracy).better == 0


def test_the_same_seed_gives_the_same_answer_and_another_another() -> None:
    generator = np.random.default_rng(3)
    ours, theirs = ({0: {CELL: right_of_ten(generator, 0.5)}} for _ in range(2))
    first, again, other = (
        paired_bootstrap(ours, theirs, [CELL], accuracy, seed=seed) for seed in (4, 4, 5)
    )
    assert first == again
    assert first.low != other.low


def test_the_interval_of_one_seed_is_that_of_the_mean_of_its_sentences() -> None:
    generator = np.random.default_rng(6)
    ours, theirs = (right_of_ten(generator, share, 400) for share in (0.6, 0.5))
    found = paired_bootstrap({0: {CELL: ours}}, {0: {CELL: theirs}}, [CELL], accuracy)
    apart = (ours[:, 0] - theirs[:, 0]) / 10
    error = apart.std() / np.sqrt(len(apart))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_what_sentences_have_in_common_cancels() -> None:
    generator = np.random.default_rng(7)
    hard = generator.choice([1, 9], size=200)
    ours, theirs = (np.stack([hard + more, np.full(200, 10)], axis=1) for more in (1, 0))
    found = paired_bootstrap({0: {CELL: ours}}, {0: {CELL: theirs}}, [CELL], accuracy)
    assert found.high - found.low < 1e-9
    shuffled = generator.permutation(theirs)
    apart = paired_bootstrap({0: {CELL: ours}}, {0: {CELL: shuffled}}, [CELL], accuracy)
    assert apart.high - apart.low > 0.1


def test_cells_of_one_target_share_their_sentences() -> None:
    generator = np.random.default_rng(8)
    ours, theirs = (right_of_ten(generator, 0.5) for _ in range(2))
    cells = [("a", "x"), ("b", "x")]
    # What one cell wins the other loses, on the same sentences.
    system = {0: {cells[0]: ours, cells[1]: theirs}}
    mirror = {0: {cells[0]: theirs, cells[1]: ours}}
    found = paired_bootstrap(system, mirror, cells, accuracy)
    assert found.high - found.low < 1e-9


def test_seeds_are_drawn_together_only_if_both_systems_have_the_same() -> None:
    levels = {1: 2, 2: 5, 3: 8}
    ours = {s: {CELL: np.array([[level + 1, 10]])} for s, level in levels.items()}
    theirs = {s: {CELL: np.array([[level, 10]])} for s, level in reversed(levels.items())}
    together = paired_bootstrap(ours, theirs, [CELL], accuracy)
    assert together.paired
    assert together.high - together.low < 1e-9
    others = {seed + 10: by_cell for seed, by_cell in theirs.items()}
    apart = paired_bootstrap(ours, others, [CELL], accuracy)
    assert not apart.paired
    assert apart.high - apart.low > 0.5


@pytest.mark.parametrize("count", [3, 0])
def test_other_sentences_of_the_same_target_are_refused(count: int) -> None:
    ours, theirs = ({0: {CELL: np.ones((n, 2), dtype=np.int64)}} for n in (4, count))
    with pytest.raises(UsageError, match="same test sentences"):
        paired_bootstrap(ours, theirs, [CELL], accuracy)


def test_a_missing_cell_and_no_seed_are_refused() -> None:
    system = {0: {CELL: np.ones((2, 2), dtype=np.int64)}}
    with pytest.raises(UsageError, match="from de to tr"):
        paired_bootstrap(system, system, [("de", "tr")], accuracy)
    with pytest.raises(UsageError, match="nothing to compare"):
        paired_bootstrap(system, {}, [CELL], accuracy)


def test_a_whole_matrix_takes_seconds() -> None:
    generator = np.random.default_rng(9)
    names = "abcdefg"
    cells = [(a, b) for a in names for b in names]
    systems = [
        {s: {cell: right_of_ten(generator, 0.5, 1000) for cell in cells} for s in range(3)}
        for _ in range(2)
    ]
    begin = time.perf_counter()
    found = paired_bootstrap(*systems, cells, accuracy)
    assert found.low < found.observed < found.high
    assert time.perf_counter() - begin < 10


def test_nested_seeds_draw_choices_then_their_trainings() -> None:
    generator = np.random.default_rng(5)
    choices, trainings = 60, 3
    # All sentences of a system are alike, so that only its seeds are drawn.
    scores_CT = 0.5 + generator.normal(0, 0.05, (choices, 1))
    scores_CT = np.round(1e6 * (scores_CT + generator.normal(0, 0.1, (choices, trainings))))
    ours = {
        (c, t): {CELL: np.tile([scores_CT[c, t], 1e6], (2, 1))}
        for c in range(choices)
        for t in range(trainings)
    }
    theirs = {(-1, -1): {CELL: np.tile([0.0, 1e6], (2, 1))}}
    found = paired_bootstrap(ours, theirs, [CELL], accuracy, resamples=4000)
    means_C, within_C = scores_CT.mean(axis=1) / 1e6, scores_CT.var(axis=1) / 1e12
    variance = (means_C.var() + within_C.mean() / trainings) / choices
    assert found.observed == pytest.approx(means_C.mean())
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(variance**0.5, rel=0.05)


def test_seeds_of_one_number_are_choices_with_one_training_each() -> None:
    generator = np.random.default_rng(6)
    made = [{CELL: right_of_ten(generator, 0.5)} for _ in range(6)]
    ours, theirs = dict(enumerate(made[:3])), dict(enumerate(made[3:]))
    single = paired_bootstrap(ours, theirs, [CELL], accuracy)
    nested = paired_bootstrap(
        {(seed, 7): one for seed, one in ours.items()},
        {(seed, 7): one for seed, one in theirs.items()},
        [CELL],
        accuracy,
    )
    assert single == nested


def test_the_mean_of_an_unbalanced_nest_is_that_of_its_choices() -> None:
    seeds = [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert nested_mean(seeds, np.array([0.0, 0.0, 0.0, 1.0])) == 0.5


def test_clusters_of_one_are_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(7).exponential(size=40)
    found = clustered_mean(list(values), range(40), resamples=20_000)
    scipys = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.cells, found.clusters) == (40, 40)
    assert found.low == pytest.approx(scipys.low, abs=0.02)
    assert found.high == pytest.approx(scipys.high, abs=0.02)


def test_cells_of_one_cluster_count_once() -> None:
    """Five copies of each cell say no more than one, and their mean weighs what they weigh."""
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    one = clustered_mean(values, "abcdef")
    copied = clustered_mean(values * 5, "abcdef" * 5)
    assert (one.low, one.high) == (copied.low, copied.high)
    assert clustered_mean([1.0, 1.0, 1.0, 0.0], "aaab").value == 0.75


def test_the_interval_over_clusters_holds_the_truth() -> None:
    generator = np.random.default_rng(8)
    clusters = np.repeat(np.arange(20), 4)
    held = 0
    for run in range(300):
        shared = generator.normal(0, 1, 20)[clusters]
        values = shared + generator.normal(0, 0.5, 80)
        found = clustered_mean([float(v) for v in values], [*clusters], resamples=500, seed=run)
        held += found.low <= 0 <= found.high
    assert 0.89 <= held / 300 <= 0.98
