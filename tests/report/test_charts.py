import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.report import charts

finite = st.floats(-1e6, 1e6, width=32)


def heights(path: str) -> list[float]:
    return [-float(h) for h in re.findall(r"v(-[\d.]+)h", path)]


def test_bars_are_as_tall_as_their_share_of_the_tallest():
    rows = charts.histogram({"pool": [0.0, 1.0, 1.0, 1.0, 1.0], "chosen": [0.0]})["rows"]
    assert heights(rows[0]["path"]) == [15.5, 62.0]
    assert heights(rows[1]["path"]) == [62.0]


def test_rows_share_one_axis():
    rows = charts.histogram({"pool": [0.0, 10.0], "chosen": [5.0]})["rows"]
    assert [row["median_at"] for row in rows] == [180.0, 180.0]
    assert [row["median"] for row in rows] == [5.0, 5.0]
    assert [row["n"] for row in rows] == [2, 1]


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-12, 1e9])
def test_equal_values_make_one_bar_inside_the_chart(value):
    chart = charts.histogram({"pool": [value] * 7, "chosen": [value]})
    for row in chart["rows"]:
        assert heights(row["path"]) == [62.0]
        assert 12 < row["median_at"] < 348
    assert chart["ticks"]


def test_an_empty_group_is_a_row_without_bars():
    rows = charts.histogram({"pool": [1.0, 2.0], "chosen": []})["rows"]
    assert (rows[1]["path"], rows[1]["n"]) == ("", 0)


def test_a_curve_climbs_by_one_share_at_each_value():
    drawn = charts.curves({"chosen": [4.0, 0.0]})["paths"]["chosen"]
    assert drawn == "M12 190H12V102H348V14H348"


@given(st.lists(finite, min_size=1, max_size=40), st.lists(finite, min_size=1, max_size=40))
def test_curves_climb_and_stay_inside(one, other):
    for path in charts.curves({"pool": one, "chosen": other})["paths"].values():
        across = [float(x) for x in re.findall(r"H([\d.]+)", path)]
        up = [float(y) for y in re.findall(r"V([\d.]+)", path)]
        assert across == sorted(across)
        assert up == sorted(up, reverse=True)
        assert across[0] >= 12
        assert across[-1] == 348
        assert up[-1] == 14


def test_a_curve_of_many_is_drawn_by_its_quantiles():
    values = np.linspace(0, 1, 20_001)
    path = charts.curves({"pool": values.tolist()})["paths"]["pool"]
    assert path.count("V") == 400
    assert "H180V102" in path


@given(finite, st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, width):
    at = charts.ticks(low, low + width)
    assert 1 <= len(at) <= 8
    assert min(at) >= low - 1e-6 * width
    assert max(at) <= low + width * 1.001 + 1e-6 * abs(low)


def test_ticks_are_the_ones_a_person_would_write():
    assert charts.ticks(0.0, 10.0) == [0, 2, 4, 6, 8, 10]
    labels = [t["label"] for t in charts.histogram({"pool": [-1.0, 0.0]})["ticks"]]
    assert labels == ["−1.0", "−0.8", "−0.6", "−0.4", "−0.2", "0.0"]
