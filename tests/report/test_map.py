import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.report.map import MOST_POINTS, drawing


def point(kind, x, y, text="t", **more):
    rest = {"id": f"{kind}#1", "language": None, "rank": None, "uncertainty": None}
    return {"kind": kind, "x": x, "y": y, "text": text} | rest | more


def places(layer):
    return [
        (float(x), float(y))
        for path in layer["paths"]
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", path)
    ]


def test_no_points_no_map():
    assert drawing([]) is None


def test_one_scale_serves_both_axes_and_up_is_up():
    drawn = drawing([point("pool", 0, 0), point("target", 4, 0), point("chosen", 0, 3)])
    at = {layer["kind"]: places(layer)[0] for layer in drawn["layers"]}
    right, up = at["target"][0] - at["pool"][0], at["pool"][1] - at["chosen"][1]
    assert right / up == pytest.approx(4 / 3, abs=0.001)
    assert at["target"][1] == at["pool"][1]


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=20))
def test_every_point_lies_inside(points):
    drawn = drawing([point("pool", x, y) for x, y in points])
    for x, y in places(drawn["layers"][0]):
        assert 0 <= x <= drawn["width"]
        assert 0 <= y <= drawn["height"]


def test_at_most_5000_of_a_kind_are_drawn_evenly_and_told():
    drawn = drawing([point("pool", i, 0, text=str(i)) for i in range(3 * MOST_POINTS)])
    layer = drawn["layers"][0]
    assert (layer["drawn"], layer["total"], len(places(layer))) == (5000, 15000, 5000)
    assert json.loads(drawn["data"])["pool"]["text"][:3] == ["0", "3", "6"]


def test_hover_text_lies_where_the_point_is_drawn():
    drawn = drawing([point("chosen", i, -i, text=f"t{i}", rank=i + 1) for i in range(300)])
    layer = next(layer for layer in drawn["layers"] if layer["kind"] == "chosen")
    data = json.loads(drawn["data"])["chosen"]
    assert {tuple(xy) for xy in np.reshape(data["xy"], (-1, 2))} == set(places(layer))
    assert data["text"][7] == "t7"
    assert data["note"][7] == "rank 8"
    assert data["xy"][::2] == sorted(data["xy"][::2])


def test_the_smaller_of_target_and_chosen_is_drawn_last():
    few, many = [point("target", 0, 0)], [point("chosen", 1, 1)] * 5
    assert [layer["kind"] for layer in drawing(few + many)["layers"]] == [
        "pool",
        "chosen",
        "target",
    ]


def test_texts_are_cut_until_the_page_can_afford_them():
    points = [
        point(kind, i, i, "<" * 3000) for kind in ("pool", "target") for i in range(MOST_POINTS)
    ]
    assert len(drawing(points)["data"].encode()) <= 4_000_000


def test_few_texts_are_given_at_length():
    text = json.loads(drawing([point("pool", 0, 0, "x" * 3000)])["data"])["pool"]["text"]
    assert text == ["x" * 280 + "…"]
