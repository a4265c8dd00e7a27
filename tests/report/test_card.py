import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymux.report import card

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></title></textarea><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)> ' onmouseover='alert(2)",
    "<!-- <script> --!> ]]> {{ 7 * 7 }} {% raw %} &lt;b&gt; &amp;",
    "\u202eevil\u2066 \u200f\u061c",
    "java\x00script:\ud800 `${alert(1)}` \u2028\u2029 http://evil.example/x.png",
]
VOID = {"meta", "br", "input", "link", "img"}


class Page(HTMLParser):
    """The skeleton of a page (tags, attributes) and its texts, each with what it stands in."""

    def __init__(self, html: str) -> None:
        html.encode()
        super().__init__()
        self.skeleton: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.skeleton.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.open.append("isolate" if dict(attrs).get("dir") == "auto" else tag)
            self.ids = dict(attrs)

    def handle_startendtag(self, tag, attrs):
        self.skeleton.append((tag, tuple(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() in (tag, "isolate")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script" and self.ids.get("id") == "points":
            self.points = json.loads(data)
        self.texts.append((data, tuple(self.open)))

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self) -> str:
        shown = (t for t, within in self.texts if not {"script", "style"} & set(within))
        return " ".join(" ".join(shown).split())

    def inside(self, tag: str) -> list[str]:
        return [text for text, within in self.texts if within and within[-1] == tag]


def with_texts(value, text, key=""):
    """The same facts with every text of a user replaced, names of stages and settings as well."""
    if isinstance(value, str):
        return value if key == "kind" else text
    if isinstance(value, dict):
        users = key in {"settings", "seconds", "pool", "chosen"}
        return {text if users else k: with_texts(v, text, k) for k, v in value.items()}
    if isinstance(value, list):
        return [with_texts(item, text, key) for item in value]
    return value


@pytest.fixture(scope="session")
def small(make_facts):
    return make_facts(pool=40, chosen=4, target=5, languages=3, sample=20)


@pytest.fixture(scope="session")
def page_with(small):
    """The page of the same facts with another text everywhere."""
    return lambda text: Page(card(with_texts(small, text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_no_tag_no_attribute_and_no_script(small, page_with, text):
    page = page_with(text)
    assert page.skeleton == page_with("some words").skeleton
    own, clean = Page(card(small)), re.sub("[\x00\ud800]", "\ufffd", text)
    assert page.inside("script")[1:] == own.inside("script")[1:]
    assert page.inside("style") == own.inside("style")
    assert page.points["pool"]["text"] == [clean] * 20
    assert " ".join(clean.split()) in page.text


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/\"'&;=-! {}%`\\x\u202e\x00\ud800ك"), max_size=30))
def test_no_text_changes_the_skeleton(page_with, text):
    assert page_with(f"a {text}").skeleton == page_with("some words").skeleton


def test_every_text_of_a_user_keeps_its_direction_to_itself(page_with):
    loose = [
        within[-1]
        for text, within in page_with("USER").texts
        if "USER" in text and not {"bdi", "isolate"} & set(within)
    ]
    assert sorted(loose) == ["script", "title"]


def test_the_page_asks_no_host_for_anything(make_facts):
    html = card(make_facts(pool=300))
    page = Page(html)
    asked = {"src", "srcset", "href", "xlink:href", "action", "data", "poster", "background"}
    assert {v for _, attrs in page.skeleton for k, v in attrs if k in asked} == {"#warnings"}
    for own in (*page.inside("style"), page.inside("script")[-1]):
        assert not re.search(r"url\(|@import|https?:|fetch|import\(|XMLHttp|WebSocket", own)


def test_the_policy_lets_only_our_own_style_and_script_run(small):
    page = Page(card(small))
    policy = next(dict(a)["content"] for t, a in page.skeleton if dict(a).get("http-equiv"))
    style, script = page.inside("style")[0], page.inside("script")[-1]
    for name, inline in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not any(
        k == "style" or k.startswith("on") for _, attrs in page.skeleton for k, _ in attrs
    )


@pytest.mark.parametrize("repeat", [1, 30])
def test_a_pool_of_50000_stays_under_6_mb(make_facts, repeat):
    facts = make_facts(pool=50_000, chosen=10_000, target=6000, languages=60, repeat=repeat)
    assert len(card(facts).encode()) < 6_000_000


def test_counts_are_those_of_the_facts(small):
    source = {"read": 51_234, "duplicates": 1_111, "excluded": 23, "rejected": 7}
    lost = {"truncated": 19, "words_lost": 2_345, "paths": ["a.conllu", "b.conllu"]}
    text = Page(card({**small, "source": source | lost, "peak_memory_mb": 2047.6})).text
    assert "Of 50,100 examples in the source pool, these 4 are the ones" in text
    narrowed = Page(card({**small, "source": source | lost, "narrowed_from": 200_000})).text
    assert "kept of 200,000 50,100" in narrowed
    assert "Of 50,100 examples that the prefilter kept of the source pool's 200,000, th" in narrowed
    assert "Left out of the 51,234 examples read: 1,111 exact duplicates and 23 excluded." in text
    assert "source pool 51,234 1,111 23 7 19 2,345" in text
    assert "2,048 MB" in text
    assert "a.conllu b.conllu" in text


def test_languages_are_counted_only_where_they_were_given(make_facts):
    facts = make_facts(pool=200, chosen=10, target=60, languages=3)
    page = Page(card(facts))
    for name, n in facts["languages"]["pool"].items():
        assert f"{name} {facts['languages']['chosen'].get(name, 0)} of {n}" in page.text
    without = Page(card({**facts, "languages": None}))
    assert "Languages" in page.inside("h2")
    assert "Languages" not in without.inside("h2")


def test_language_bars_are_shares_of_pool_and_choice(small):
    languages = {"pool": {"ar": 75, "ur": 25}, "chosen": {"ur": 10}}
    html = card({**small, "languages": languages})
    widths = re.findall(r'class="bar (?:pool|chosen)"(?: y="7")? width="([\d.]+)"', html)
    assert [float(w) for w in widths] == [25, 100, 75, 0]


def test_the_first_choices_stand_in_order_with_their_reasons(make_facts):
    facts = make_facts(pool=400, chosen=30, target=60)
    page = Page(card(facts))
    places = [page.text.index(f"{c['id']} The model says now") for c in facts["first"]]
    assert len(places) == 20
    assert places == sorted(places)
    ranks = [t for t in page.inside("span") if t.isdigit()]
    assert ranks[-20:] == [str(rank) for rank in range(1, 21)]


def test_reasons_are_put_in_proportion_to_the_pool(small):
    choice = {**small["first"][0], "uncertainty": 3.0, "distance": 1.5}
    four = {"pool": [1.0, 2.0, 3.0, 4.0], "chosen": [3.0]}
    text = Page(
        card(
            {
                **small,
                "first": [choice],
                "uncertainty": {**four, "measure": "margin"},
                "distance": four,
            }
        )
    ).text
    assert "uncertainty 3 less sure than 50 % of the pool" in text
    assert "mean distance 1.5 nearer than 75 % of the pool" in text


def test_coverage_is_told_in_words_and_numbers(small):
    coverage = {"pool": [1.0, 2.0, 3.0], "chosen": [2.0, 4.0, 9.0], "random": [5.0, 6.0, 7.0]}
    text = Page(card({**small, "coverage": coverage})).text
    assert "have a chosen example within 4 ." in text
    assert "random choice of the same size that is 6" in text
    assert "in all that may be chosen 2 2.8 chosen 4 8 of a random choice 6 6.8" in text
    assert "The target's outliers lie farther from the choice than from a random one." in text


def test_what_to_be_careful_of_follows_from_the_facts(small):
    far = {"pool": [1.0], "chosen": [3.0], "random": [2.0]}
    text = Page(card({**small, "coverage": far, "warnings": ["mind the gap"]})).text
    assert "The target sample is small (5 examples)" in text
    assert "The choice lies no nearer to the target than a random one would." in text
    assert "Read the 1 warning ." in text
    assert "Warning mind the gap" in text


def test_what_the_warnings_say_is_not_said_beside_them(small):
    # 400 examples for 10,000 tokens are no shortage.
    source = {**small["source"], "truncated": 19, "rejected": 7}
    html = card({**small, "budget": 10_000, "source": source, "warnings": []})
    assert Page(html).inside("p") == Page(card({**small, "warnings": []})).inside("p")


def test_nothing_to_warn_of_makes_no_warnings(make_facts):
    facts = make_facts(pool=300, chosen=10, target=60)
    assert "arning" not in Page(card({**facts, "warnings": []})).text


@pytest.mark.parametrize(
    "world",
    [
        {"chosen": 1, "languages": None},
        {"chosen": 1, "target": 1},
        {"languages": 60, "target": 14},
        {"repeat": 400, "chosen": 25},
    ],
)
def test_odd_worlds_are_drawn(make_facts, world):
    page = Page(card(make_facts(**{"pool": 200, "chosen": 10, "target": 20, **world})))
    assert "NaN" not in page.text
    assert not any("nan" in (v or "") for _, attrs in page.skeleton for k, v in attrs if k == "d")


def test_equal_numbers_and_an_empty_map_are_drawn(small):
    same = {"pool": [0.5] * 40, "chosen": [0.5] * 4, "random": [0.5] * 4, "measure": "margin"}
    nothing = {"method": "PCA", "explained": [], "points": []}
    page = Page(
        card({**small, "map": nothing, "uncertainty": same, "distance": same, "coverage": same})
    )
    assert "The map" not in page.inside("h2")


def test_the_same_facts_make_the_same_page(small):
    assert card(small) == card(small)


def test_the_words_need_no_script(small):
    text = Page(re.sub("<script.*?</script>", "", card(small), flags=re.S)).text
    for said in (small["title"], small["strategy_line"], small["model"], *small["warnings"]):
        assert said in text
    assert small["first"][0]["text"].strip() in text
