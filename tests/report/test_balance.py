import base64
import hashlib
import html
import re
from copy import deepcopy
from html.parser import HTMLParser

import pytest

from polymux.report.balance import markdown, page

LANGUAGES = ["te", "ur", "de"]
# By hand: the diagonal is .6 .5 .9; into te .2 .3, into ur .1 .5, into de .4 .6.
MATRIX = [[0.6, 0.1, 0.4], [0.2, 0.5, 0.6], [0.3, 0.5, 0.9]]
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=http://evil.example/x onerror=alert(1)> ' a='b",
    "a|b `c` *d* [e](http://evil.example) $x^2$ \\ {{ 7 * 7 }}",
    "</style></svg><!-- ]]> &lt; \x00\ud800\u202e",
    "తెలుగు اردو 👨‍👩‍👧",
]


def shifted(matrix, by):
    return [[cell + by for cell in row] for row in matrix]


def make_words(mrr):
    return {"mrr": mrr, "plain_mrr": mrr, "bits_per_character": [2.5], "cross_entropy": [4.25]}


def make_system(loss, epochs=1.0):
    portion = {"share": 1 / 3, "epochs": epochs, "kept_tokens": 1234.6}
    return {
        "loss": loss,
        "sampling": "all",
        "compute": "student",
        "updates": 1200,
        "tokens": 1_000_000,
        "flops": 2.5e15,
        "seconds": [10.0, 14.0],
        "final_loss": [3.0, 3.2],
        "losses": [[0, 9.0], [600, 4.0], [1200, 3.0]],
        "languages": {language: dict(portion) for language in LANGUAGES},
    }


def make_probe(score):
    return {
        "score": score,
        "languages": LANGUAGES,
        "majority": {"matrix": [[0.25] * 3] * 3},
        "systems": {
            "student": [shifted(MATRIX, 0.05), shifted(MATRIX, 0.07)],
            "hl": [shifted(MATRIX, -0.01), shifted(MATRIX, 0.01)],
            "random encoder": [[[0.15] * 3] * 3],
        },
    }


def make_comparison(low, high, **more):
    told = {"task": "pos", "transfer": "zero-shot", "group": "low", "ours": "student"}
    told |= {"theirs": "hl", "difference": (low + high) / 2, "low": low, "high": high}
    return told | {"better": 0.97, "seeds": 2} | more


@pytest.fixture
def full():
    text = {"bytes": 9000, "premium_bytes": 4500.4, "characters": 5000, "words": 800}
    text |= {"tokens": 1600, "tokens_per_word": 2.0, "unknown": 0.0, "bytes_share": 0.0002}
    teacher = {"tokens": 5000, "epochs": 3.0, "flops": 1e15, "seconds": 5.0, "pos": 0.7}
    teacher |= {"words": {"mrr": 0.456, "bits_per_character": 2.1, "cross_entropy": 4.0}}
    row = {"task": "pos", "language_set": "diverse", "group": "low-res", "method": "soft"}
    row |= {"transfer": "in-language", "score": 55.7}
    return {
        "name": "a run",
        "polymux": "0.1.0",
        "machine": "a machine",
        "reconstruction": "What the slides leave open is a reconstruction.",
        "settings": {"corpus.split": '"blocks"', "masks": "0.3"},
        "languages": LANGUAGES,
        "groups": {"low": ["te", "ur"], "high": ["de"], "all": LANGUAGES},
        "seeds": [1, 2],
        "paper": "diverse",
        "text": {lang: text | {"overlap": {"pos": 0.01, "ner": 0.0}} for lang in LANGUAGES},
        "systems": {"student": make_system("soft", 4.2), "hl": make_system("hard")},
        "teachers": {lang: teacher | {"ner": 0.5 if lang != "de" else None} for lang in LANGUAGES},
        "diagonal": [[2.0, 5.0, 5.0], [5.0, 2.0, 1.5], [5.0, 5.0, 2.5]],
        "words": {
            "student": {lang: make_words([0.5, 0.52]) for lang in LANGUAGES},
            "random encoder": {lang: make_words([0.01]) for lang in LANGUAGES},
        },
        "probes": {"pos": make_probe("accuracy"), "ner": make_probe("f1")},
        "comparisons": [make_comparison(0.01, 0.03), make_comparison(-0.004, 0.01, group="all")],
        "paper_rows": [row],
        "claims": [{"claim": "Better", "verdict": "cannot be told", "evidence": "two seeds"}],
        "notes": ["- a note"],
    }


@pytest.fixture
def bare(full):
    empty = {"text": {}, "teachers": {}, "words": {}, "probes": {}, "settings": {}}
    lists = {name: [] for name in ("comparisons", "paper_rows", "claims", "notes")}
    return full | empty | lists | {"diagonal": None, "paper": None}


class Page(HTMLParser):
    """A page's attributes, its tags and its texts."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.texts, self.attributes, self.open = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def rows(text, caption):
    """The cells of the first table under a caption or heading, by the first of each row."""
    lines = iter(text.split(caption, 1)[1].splitlines())
    table = [line for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    found = {}
    for first, *rest in cells:
        found.setdefault(first, rest)
    return found


def with_texts(value, text):
    """The record with every name of a system, language, group or sentence made hostile."""
    kept = {"mrr", "student", "pos", "ner"}
    if isinstance(value, str):
        return f"{value}{text}"
    if isinstance(value, dict):
        named = {"te", "ur", "de", "hl", "low", "high", "all", "corpus.split"}
        return {
            (
                f"{key}{text}"
                if key in named and key not in kept and not is_interval(value)
                else key
            ): (item if key in {"low", "high"} and is_interval(value) else with_texts(item, text))
            for key, item in value.items()
        }
    return [with_texts(item, text) for item in value] if isinstance(value, list) else value


def is_interval(value):
    return "better" in value


def test_group_means_are_those_of_the_diagonal_and_of_the_cells_into_the_group(full):
    text = markdown(full).split("## Part of speech")[1]
    # hl has the matrix itself as its mean over seeds, 0.01 below and above.
    in_language = rows(text, "In-language")["hl"]
    zero_shot = rows(text, "Zero-shot (Z-S)")["hl"]
    by_source = rows(text, "Zero-shot by source")["hl"]
    assert in_language[:3] == ["55.0 ± 1.4", "90.0 ± 1.4", "66.7 ± 1.4"]
    # A quarter of .2 + .3 + .1 + .5, half of .4 + .6, a sixth of all six.
    assert zero_shot[:3] == ["27.5 ± 1.4", "50.0 ± 1.4", "35.0 ± 1.4"]
    # A quarter of .1 + .4 + .2 + .6, half of .3 + .5.
    assert by_source == ["32.5 ± 1.4", "40.0 ± 1.4", "35.0 ± 1.4"]


def test_a_language_without_data_for_a_probe_is_left_out_of_its_means_and_said(full):
    probe = full["probes"]["pos"]
    probe["languages"] = ["ur", "de"]
    cut = [row[1:] for row in MATRIX[1:]]
    probe["systems"]["hl"] = [cut]
    probe["majority"]["matrix"] = [[0.25] * 2] * 2
    probe["systems"] = {"hl": [cut]}
    text = markdown(full).split("## Part of speech")[1].split("## Named entities")[0]
    assert "There is no data for te; groups are means of the others." in text
    assert rows(text, "In-language")["hl"][:3] == ["50.0", "90.0", "70.0"]
    assert rows(text, "Zero-shot (Z-S)")["hl"][:3] == ["50.0", "60.0", "55.0"]
    assert "<svg" in page(full)


def test_one_seed_has_no_spread(full):
    full["probes"]["pos"]["systems"]["hl"] = [MATRIX]
    assert rows(markdown(full), "In-language")["hl"][:3] == ["55.0", "90.0", "66.7"]


def test_beside_the_systems_stand_the_slides_the_random_encoder_the_majority_and_the_teachers(full):
    text = markdown(full)
    found = rows(text, "In-language")
    assert found["system"] == ["low", "high", "all", "low (slides)"]
    assert found["student"][3] == "55.7"
    assert found["hl"][3] == "–"
    assert found["random encoder"][0] == "15.0"
    assert found["majority tag"][0] == "25.0"
    assert found["teachers"][:3] == ["70.0", "70.0", "70.0"]
    # The teacher of de has no NER probe: no mean of a group that holds de.
    entities = rows(text.split("## Named entities")[1], "In-language")
    assert entities["teachers"] == ["50.0", "–", "–"]
    full["paper"] = None
    assert rows(markdown(full), "In-language")["system"] == ["low", "high", "all"]


def test_an_interval_that_holds_zero_tells_nothing(full):
    below = make_comparison(-0.03, -0.01, task="ner")
    full["comparisons"].append(below)
    text = markdown(full)
    told = rows(text, "**POS, zero-shot**")
    assert told["low"][2:] == [
        "+2.0", "+1.0 to +3.0", "97.0 % of resamples", "student is better",
    ]  # fmt: skip
    assert told["all"][-1] == "cannot be told"
    assert rows(text, "**NER, zero-shot**")["low"][-1] == "hl is better"


def test_systems_that_learned_nothing_are_told_before_the_claims(full):
    assert "Be careful" not in markdown(full)
    probe = full["probes"]["pos"]
    probe["systems"] = dict.fromkeys(probe["systems"], probe["systems"]["student"])
    text = markdown(full)
    said = text.index("Be careful with POS: the best trained system")
    assert text.index("## The slides' claims") < said < text.index("| claim of the slides")
    assert "Be careful with NER" not in text


def test_compute_repeats_and_teachers_are_told(full):
    text = markdown(full)
    trained = rows(text, "**Training**")
    assert trained["student"][5:] == ["2.5", "12 ± 2.83", "3.100 ± 0.141"]
    assert "student repeats text: te 4.2 times, ur 4.2 times, de 4.2 times." in text
    assert "hl repeats" not in text
    assert "Of 3 texts, 2 are best predicted by the teacher of that language." in text
    assert rows(text, "MRR of masked words")["student"][0] == "0.510 ± 0.014"
    assert rows(text, "MRR of masked words")["teachers"] == ["0.456"] * 3
    assert rows(text, "## Text")["te"][:2] == ["9,000", "4,500"]
    assert rows(text, "## Text")["te"][7:] == ["under 0.1 %", "1.0 %", "0.0 %"]


def test_text_and_page_say_the_same_in_every_table(full):
    source = page(full)
    shown = re.sub(r"<[^>]*>", "", source)
    for line in markdown(full).splitlines():
        if line.startswith("| "):
            for cell in line.strip("| ").split(" | "):
                plain = re.sub(r"\\(.)", r"\1", cell)
                assert plain in html.unescape(shown) or set(plain) <= set("-: ")


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_users_stay_texts(full, text):
    hostile = with_texts(full, text)
    calm, found = Page(page(full)), Page(page(hostile))
    assert set(found.tags) == set(calm.tags)
    assert {name for name, _ in found.attributes} == {name for name, _ in calm.attributes}
    written = markdown(hostile)
    written.encode()
    assert "<" not in written
    assert not re.search(r"(?<!\\)[`*$]", written.replace("**", ""))


def test_a_row_of_markdown_has_as_many_cells_as_its_header(full):
    for text in (markdown(full), markdown(with_texts(full, "a|b\nc"))):
        for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_page_asks_no_host_and_its_policy_lets_its_own_style_only(full):
    source = page(full)
    found = Page(source)
    assert not [value for _, value in found.attributes if value and "//" in value]
    assert all(value.startswith("#") for name, value in found.attributes if name in {"href", "src"})
    assert {"style", "onload", "onclick"}.isdisjoint(name for name, _ in found.attributes)
    style = re.search(r"<style>(.*?)</style>", source, re.S)[1]
    wanted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{wanted}'" in source
    assert source.count("<style") == 1
    assert "url(" not in style
    assert "script" not in found.tags


def test_no_two_things_of_a_page_have_one_id_and_every_reference_is_met(full):
    source = page(full)
    ids = re.findall(r'\bid="([^"]*)"', source)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', source)) <= set(ids)


def test_every_colour_of_a_plot_is_a_variable_that_both_themes_set(full):
    source = page(full)
    drawings = re.findall(r"<svg.*?</svg>", source, re.S)
    assert len(drawings) == 2 * (2 + 4) + 4
    style = re.search(r"<style>(.*?)</style>", source, re.S)[1]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for drawing in drawings:
        colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', drawing)) - {"none"}
        assert colours
        for colour in colours:
            assert colour.startswith("var(--"), colour
            assert f"{colour[4:-1]}:" in light
            assert f"{colour[4:-1]}:" in dark


def test_a_record_with_nothing_but_systems_still_renders(bare):
    assert "| student | soft |" in markdown(bare)
    assert "Training loss" in page(bare)
    for section in ("Masked words", "Teachers", "claims", "Differences", "Settings"):
        assert f"## {section}" not in markdown(bare)
    bare |= {"systems": {}, "languages": [], "groups": {}, "seeds": []}
    assert "0 systems" in markdown(bare)
    assert "0 systems" in page(bare)


def test_a_group_of_no_language_and_a_loss_that_is_no_number_are_shown_as_such(full):
    full["groups"]["none"] = []
    full["systems"]["hl"]["losses"].append([1300, float("nan")])
    full["words"]["student"]["te"]["mrr"] = [float("nan")]
    assert rows(markdown(full), "In-language")["student"][3] == "–"
    page(full)


def test_more_systems_than_looks_are_all_drawn(full):
    for number in range(20):
        full["systems"][f"more {number}"] = make_system("soft")
    assert "more 19" in page(full)


def test_the_same_record_gives_the_same_bytes_and_is_left_as_it_was(full):
    before = deepcopy(full)
    assert page(full) == page(deepcopy(full))
    assert markdown(full) == markdown(deepcopy(full))
    assert full == before


def test_drawing_leaves_the_settings_of_matplotlib_alone(full):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    page(full)
    assert dict(mpl.rcParams) == before
