"""Every check on arrays: the right warning where there is a defect, none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from tests.diagnosis.worlds import cloud

from polymux.diagnosis.calibration import Calibration, diagram, judged, reliability
from polymux.diagnosis.clusters import clustering
from polymux.diagnosis.correlation import neighbourhood
from polymux.diagnosis.expected import expected
from polymux.diagnosis.fertility import Cuts, fertility
from polymux.diagnosis.findings import Result, share
from polymux.diagnosis.likeness import alike, shingles
from polymux.diagnosis.noise import noise
from polymux.diagnosis.parallel import parallel
from polymux.diagnosis.reach import reach
from polymux.diagnosis.redundancy import redundancy
from polymux.diagnosis.scripts import script_of, scripts_in
from polymux.diagnosis.size import repeats, target_size
from polymux.diagnosis.spread import distances, effective_size, neighbours


def levels(result: Result | None) -> set[str]:
    assert result is not None
    assert result.findings
    return {finding.level for finding in result.findings}


def test_distances_are_those_of_the_vectors_and_nothing_is_its_own_neighbour() -> None:
    x = np.array([[0, 0], [3, 4], [0, 1]], dtype=np.float32)
    apart = distances(x)
    assert apart[0, 1] == pytest.approx(5)
    assert apart[1, 2] == pytest.approx(np.hypot(3, 3))
    assert np.isinf(np.diag(apart)).all()
    assert neighbours(apart, 2).tolist() == [[2, 1], [2, 0], [0, 1]]


def test_the_effective_size_is_the_participation_ratio_of_the_kernels_eigenvalues() -> None:
    x = cloud(40, 3, seed=0).astype(np.float64)
    apart = distances(x)
    finite = np.where(np.isinf(apart), 0.0, apart)
    values = np.linalg.eigvalsh(np.exp(-2 * np.square(finite / 0.7)))
    assert effective_size(apart, 0.7) == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_what_is_the_same_counts_once() -> None:
    x = np.repeat(10 * np.eye(4), 5, axis=0)
    assert effective_size(distances(x), 1.0) == pytest.approx(4)


def sized(count: int, copies: int = 1, **counts: int) -> Result:
    apart = distances(np.repeat(cloud(count, 8, seed=1), copies, axis=0))
    told = {"read": count * copies, "duplicates": 0, **counts}
    return target_size(apart, [False] * len(apart), 0.5, **told)


def test_a_target_is_too_small_by_number_or_by_what_is_different_in_it() -> None:
    assert levels(sized(100)) == {"good"}
    assert levels(sized(30)) == {"note"}
    assert levels(sized(12)) == {"warning"}
    assert levels(sized(12, copies=10)) == {"warning"}


def test_a_target_that_repeats_itself_is_told() -> None:
    assert levels(sized(100, read=200, duplicates=100)) == {"good", "warning"}
    apart = distances(cloud(100, 8, seed=1))
    half = target_size(apart, [i % 2 == 0 for i in range(100)], 0.5, read=100, duplicates=0)
    assert half.near_duplicates == 50
    assert levels(half) == {"good", "warning"}
    assert repeats([[], [0.79], [0.2, 0.8]]) == [False, False, True]


TEXTS = [f"the doctor sees patient {name} in the morning" for name in "abcdefghijklmnopqrstuvwxyz"]


def test_noise_is_found_and_told_by_kind_and_nothing_else() -> None:
    apart = distances(cloud(40, 8, seed=2))
    texts = [*TEXTS, *TEXTS[:14]]
    assert levels(noise(texts, apart)) == {"good"}
    bad = {
        3: ("https://x.org/page?a=b 12:30", "of digits, links or markup alone"),
        5: ("<br/> &nbsp; 99 %", "of digits, links or markup alone"),
        7: ("the doc\ufffdtor", "with characters that wrong decoding leaves"),
        9: ("ქართული ტექსტი", "in a script of its own"),
    }
    found = noise([bad[i][0] if i in bad else text for i, text in enumerate(texts)], apart)
    assert {s.place: s.why for s in found.suspects} == {i: why for i, (_, why) in bad.items()}
    assert levels(found) == {"warning"}


def test_an_outlier_is_far_from_its_nearest_and_a_second_group_is_not() -> None:
    both = np.concatenate([cloud(30, 8, seed=3), cloud(30, 8, seed=4, centre=40)])
    assert noise(["word"] * 60, distances(both)).suspects == ()
    far = np.concatenate([both, cloud(1, 8, seed=5, centre=-60)])
    assert [(s.place, s.why) for s in noise(["word"] * 61, distances(far)).suspects] == [
        (60, "far from every other")
    ]


@pytest.mark.parametrize(
    ("beyond", "level"), [(0, "good"), (4, "note"), (20, "warning"), (80, "warning")]
)
def test_what_lies_beyond_the_pools_own_spacing_is_out_of_reach(beyond: int, level: str) -> None:
    own = np.linspace(1, 2, 101)
    to_pool = np.full(100, 1.5)
    to_pool[:beyond] = 3 + np.arange(beyond)
    found = reach(to_pool, own)
    assert found.threshold == pytest.approx(np.quantile(own, 0.99))
    assert found.out_of_reach == tuple(range(beyond - 1, -1, -1))
    assert levels(found) == {level}


def test_overlap_is_told() -> None:
    assert levels(reach(np.ones(9), np.arange(1.0, 9.0), 3)) == {"good", "note"}


def test_near_duplicates_are_counted_where_the_texts_are_alike() -> None:
    likeness = np.zeros((100, 2))
    apart = np.tile([1.0, 2.0], (100, 1))
    assert levels(redundancy(likeness, apart, None, read=100, duplicates=0)) == {"good"}
    likeness[:30, 1] = 0.8
    other = np.zeros((100, 2), dtype=np.bool_)
    other[:10, 1] = True
    found = redundancy(likeness, apart, other, read=130, duplicates=30)
    assert (found.near_duplicates, found.across, found.spacing) == (30, 10, 2.0)
    assert levels(found) == {"warning"}
    assert "10 % has one in another language" in found.findings[0].says


def test_alike_is_the_jaccard_index_of_trigrams() -> None:
    assert alike(shingles("abcd"), shingles("ABCD ")) == 1
    assert alike(shingles("abcd"), shingles("abce")) == pytest.approx(1 / 3)
    assert alike(shingles(""), shingles("xyz")) == 0


def test_a_parallel_pool_is_told_whatever_offset_a_language_has() -> None:
    sense = cloud(60, 16, seed=6)
    languages = ["de"] * 60 + ["fa"] * 60
    keys = [str(i) for i in range(60)] * 2
    same = np.concatenate([sense, sense + 50 + cloud(60, 16, seed=7, spread=0.3)])
    found = parallel(same, languages, keys, "id")
    assert found is not None
    assert (found.keys, found.pairs) == (60, 120)
    assert found.found > 0.95
    assert found.chance == pytest.approx(1 / 60)
    assert levels(found) == {"warning"}
    unlike = np.concatenate([sense, 50 + cloud(60, 16, seed=8)])
    assert levels(parallel(unlike, languages, keys, "id")) == {"good"}
    assert parallel(same, languages, [*keys[:60], *(f"x{k}" for k in keys[60:])], "id") is None


def cuts(subwords: list[float], unknown: list[float], script: str = "Georgian") -> Cuts:
    count = len(subwords)
    return Cuts([script] * count, np.full(count, 5.0), np.array(subwords), np.array(unknown))


def test_a_script_the_tokenizer_does_not_know_is_told() -> None:
    latin = cuts([1.0, 2.0], [0.0, 0.0], "Latin")
    found = fertility(cuts([2.0, 3.0], [0.0, 0.0]), latin)
    assert levels(found) == {"good"}
    assert found.target[0].subwords_a_word == 2.5
    assert found.target[0].subwords_a_character == 0.5
    assert levels(fertility(cuts([1.0, 1.0], [1.0, 0.0]), latin)) == {"warning"}
    assert levels(fertility(cuts([5.0, 4.0], [0.0, 0.0]), latin)) == {"warning"}
    assert levels(fertility(cuts([5.0, 4.0], [0.0, 0.0], "Han"), latin)) == {"good"}


def test_scripts_are_told_by_most_letters() -> None:
    assert script_of("дом is дома") == "Cyrillic"
    assert script_of("12 %") is None
    assert scripts_in("मेरो ibuprofen") == {"Devanagari", "Latin"}


def test_r_of_k_equals_scipys_on_cumulated_means() -> None:
    rng = np.random.default_rng(0)
    nearest = rng.normal(size=(50, 64))
    sure = nearest[:, :8].mean(axis=1) + 0.1 * rng.normal(size=50)
    found = neighbourhood(sure, nearest)
    assert [one.k for one in found.curve] == list(range(1, 65))
    for one in found.curve:
        truth = stats.pearsonr(sure, nearest[:, : one.k].mean(axis=1))
        interval = truth.confidence_interval(0.95)
        assert (one.r, one.low, one.high) == pytest.approx((truth.statistic, *interval))
    assert found.judged is not None
    assert found.judged.k == 8
    assert levels(found) == {"good"}


def test_doubts_that_do_not_go_together_are_told() -> None:
    rng = np.random.default_rng(1)
    nearest, sure = rng.normal(size=(400, 10)), rng.normal(size=400)
    assert levels(neighbourhood(sure, nearest)) == {"warning"}
    assert levels(neighbourhood(sure[:30], nearest[:30])) == {"note"}
    assert levels(neighbourhood(np.ones(400), nearest)) == {"note"}
    assert levels(neighbourhood(sure[:3], nearest[:3])) == {"note"}


def test_the_reliability_diagram_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    sure = np.concatenate([rng.uniform(0, 1, 500), [0.0, 0.1, 0.5, 1.0]])
    right = (rng.uniform(size=504) < sure**2).astype(float)
    bins, error = diagram(sure, right)
    true, said = calibration_curve(right, sure, n_bins=10)
    assert [one.accuracy for one in bins] == pytest.approx(true.tolist())
    assert [one.confidence for one in bins] == pytest.approx(said.tolist())
    weights = np.array([one.n for one in bins]) / 504
    assert error == pytest.approx(float((weights * np.abs(true - said)).sum()))


def test_an_overconfident_model_is_told_and_a_calibrated_one_is_not() -> None:
    rng = np.random.default_rng(3)
    sure = rng.uniform(0.5, 1, 400)
    honest = [[(float(p), bool(rng.uniform() < p))] for p in sure]
    assert levels(Calibration({"pool": reliability(honest)})) == {"good"}
    boastful = [[(0.95, bool(rng.uniform() < 0.6))] for _ in range(400)]
    found = Calibration({"pool": reliability(boastful)})
    assert levels(found) == {"warning"}
    assert "overconfident" in found.findings[0].says
    assert levels(Calibration({"pool": reliability(boastful[:20])})) == {"note"}
    assert levels(Calibration({})) == {"note"}


def test_what_was_right_is_judged_by_task() -> None:
    words = {"labels": ["O", "B-PER", "O"], "scores": [0.9, 0.6, 0.0]}
    assert judged("token-classification", [("O", "O", "O"), None], [words, words]) == [
        [(0.9, True), (0.6, False)]
    ]
    assert judged("text-classification", ["a"], [{"label": "b", "score": 0.7}]) == [[(0.7, False)]]
    span = {"answers": {"text": ["The Dog"], "answer_start": [0]}, "score": 0.4}
    gold = {"text": ["cat", "dog!"], "answer_start": [1, 2]}
    assert judged("question-answering", [gold], [span]) == [[(0.4, True)]]


def test_a_representation_that_clusters_by_language_is_told_and_centring_undoes_it() -> None:
    x = np.concatenate([cloud(60, 8, seed=9), cloud(60, 8, seed=10, centre=30)])
    languages = ["de"] * 60 + ["fa"] * 60
    found = clustering(x, languages, [None] * 120, 0)
    assert levels(found) == {"warning"}
    assert found is not None
    assert found.by == "language"
    assert found.plain.of_ten == 1
    assert found.chance == pytest.approx(59 / 119)
    assert found.centred.of_ten < 0.7
    assert found.plain.within < 0.2 < 0.9 < found.centred.within
    mixed = clustering(cloud(120, 8, seed=9), languages, [None] * 120, 0)
    assert levels(mixed) == {"good"}
    by_script = clustering(x, [None] * 120, ["Latin"] * 60 + ["Arabic"] * 60, 0)
    assert by_script is not None
    assert by_script.by == "script"
    assert levels(by_script) == {"warning"}


def test_without_languages_or_scripts_clusters_are_told_and_not_judged() -> None:
    x = np.concatenate([cloud(60, 8, seed=9), cloud(60, 8, seed=10, centre=30)])
    found = clustering(x, [None] * 120, ["Latin"] * 120, 0)
    assert found is not None
    assert found.by == "cluster"
    assert levels(found) == {"note"}
    assert clustering(x[:9], [None] * 9, [None] * 9, 0) is None


def test_purity_equals_a_plain_count() -> None:
    x = np.concatenate([cloud(30, 4, seed=11), cloud(30, 4, seed=12, centre=1)])
    languages = ["a"] * 30 + ["b"] * 30
    found = clustering(x, languages, [None] * 60, 0)
    shares = []
    for i in range(60):
        lies = np.linalg.norm(x.astype(np.float64) - x[i], axis=1)
        nearest = [j for j in np.argsort(lies, kind="stable") if j != i][:10]
        shares.append(np.mean([languages[j] == languages[i] for j in nearest]))
    assert found is not None
    assert found.plain.of_ten == pytest.approx(np.mean(shares))


def test_what_choosing_may_gain_is_bounded_and_not_promised() -> None:
    near, far = np.full(20, 1.0), np.full(20, 2.0)
    found = expected(near, far, budget=10, pool=100, random=10)
    assert found.nearer == 0.5
    assert levels(found) == {"note"}
    assert "cannot be known" in found.findings[0].says
    assert levels(expected(near, near * 1.01, budget=10, pool=100, random=10)) == {"warning"}
    assert levels(expected(near, far, budget=100, pool=100, random=100)) == {"warning"}


def test_a_share_is_never_rounded_to_nothing() -> None:
    assert [share(x) for x in (0.0, 0.001, 0.256, 1.0)] == ["0 %", "under 1 %", "26 %", "100 %"]
