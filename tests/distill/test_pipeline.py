"""Every stage on a small world: killed and resumed, refused when stale, used by what follows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.distill.worlds import CONFIG, LANGUAGES, changed, write_world

from polymux.distill import distill
from polymux.distill.learning import network
from polymux.distill.learning.held_out import held_out_batches
from polymux.distill.learning.losses import Dense, soft_cross_entropy
from polymux.distill.learning.masking import Masking
from polymux.distill.learning.network import hidden_logits
from polymux.distill.text.blocks import Rows, Stream
from polymux.encoders import Model
from polymux.errors import InputError, UsageError, WorkError
from polymux.prescribe import select
from polymux.readers import read
from polymux.train import train

RUN = """
import sys
from polymux.distill import distill
distill(sys.argv[1], stages=sys.argv[2:], checkpoint_seconds=0.001, device="cpu")
"""


def start(config: Path, *stages: str) -> subprocess.Popen[bytes]:
    """A distillation in a process of its own, which saves all the time."""
    return subprocess.Popen([sys.executable, "-c", RUN, str(config), *stages])


def stage(place: Path) -> dict:
    return json.loads((place / "stage.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run through every stage whose student was killed with kill -9 in the middle."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_world(folder)
    state = folder / "run/systems/student/.1.training/state.pt"
    running = start(config)
    begun = time.monotonic()
    while not state.exists():
        assert running.poll() is None, "it ended before the student was saved once"
        assert time.monotonic() - begun < 240
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert state.exists(), "it was killed too late"
    distill(config, device="cpu")
    return folder / "run"


def test_a_killed_run_goes_on_inside_the_stage_to_the_undisturbed_result(
    whole: Path, tmp_path: Path
) -> None:
    assert stage(whole / "systems/student/1")["resumed_at"] > 0
    shutil.copytree(whole.parent, tmp_path / "again")
    again = tmp_path / "again/run"
    shutil.rmtree(again / "systems/student")
    distill(tmp_path / "again/distill.toml", stages=["student"], device="cpu")
    assert stage(again / "systems/student/1")["resumed_at"] == 0
    mine, other = (
        (place / "systems/student/1/model.safetensors").read_bytes() for place in (whole, again)
    )
    assert mine == other


def test_the_loss_of_every_model_falls(whole: Path) -> None:
    places = [*(whole / "teachers").iterdir(), *(whole / "systems").glob("*/1")]
    assert len(places) == 6
    for place in places:
        told = stage(place)
        assert told["final_loss"] < 0.8 * told["first_loss"], place


def test_a_second_run_does_nothing(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("stage.json")}
    distill(whole.parent / "distill.toml", stages=["corpus", "teachers", "hl", "evaluate"])
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("stage.json")} == before


def test_the_report_holds_every_system_and_the_models_beside_them(whole: Path) -> None:
    told = json.loads((whole / "results.json").read_text("utf-8"))
    assert list(told["probes"]["ner"]["systems"]) == [*told["systems"], "random encoder"]
    assert set(told["teachers"]) == set(LANGUAGES)
    page = (whole / "report.html").read_text("utf-8")
    text = (whole / "report.md").read_text("utf-8")
    for name in told["systems"]:
        assert f"<bdi>{name}</bdi>" in page
        assert f"| {name} |" in text
    assert "reconstruction" in page
    assert "reconstruction" in text


def test_systems_of_equal_compute_had_equal_updates_and_unimax_the_flops_of_all(
    whole: Path,
) -> None:
    made = {place.parent.name: stage(place) for place in (whole / "systems").glob("*/1")}
    equal = [made[name] for name in ("student", "hl", "hl-balanced")]
    assert len({(one["updates"], one["tokens"]) for one in equal}) == 1
    teachers = sum(stage(place)["flops"] for place in (whole / "teachers").iterdir())
    spent = teachers + made["student"]["flops"]
    assert made["hl-unimax"]["flops"] == pytest.approx(spent, rel=0.02)


def test_the_student_is_trained_on_and_chosen_by_as_any_model(whole: Path, tmp_path: Path) -> None:
    folder = whole.parent
    labelled = read(str(folder / "de/train.conll"), task="token-classification")
    trained = train(whole / "systems/student/1", labelled, tmp_path / "start", epochs=1, lr=1e-3)
    choice = select(
        Model(trained.path, task="token-classification", device="cpu"),
        read(str(folder / "*/train.conll"), task="token-classification"),
        read(str(folder / "hi/dev.conll"), task="token-classification", name="target"),
        budget=5,
        store=None,
    )
    assert len(choice.picks) == 5


def test_other_settings_or_other_text_are_never_taken_for_the_result(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole.parent, tmp_path / "copy")
    config = tmp_path / "copy/distill.toml"
    config.write_text(changed(CONFIG, training={"lr": 1e-3}), encoding="utf-8")
    for alone in ("student", "evaluate", "report"):
        with pytest.raises(UsageError, match="other settings or from other data"):
            distill(config, stages=[alone])
        # What is asked may be made anew; what it stands on may not be taken as it is.
        if alone != "student":
            with pytest.raises(UsageError, match="other settings or from other data"):
                distill(config, stages=[alone], force=True)
    config.write_text(CONFIG, encoding="utf-8")
    with (tmp_path / "copy/de.txt").open("a", encoding="utf-8") as file:
        file.write("noch ein ganz neuer Satz\n")
    with pytest.raises(UsageError, match="other settings or from other data"):
        distill(config, stages=["corpus"])
    distill(config, stages=["corpus"], force=True)
    with pytest.raises(UsageError, match="other settings or from other data"):
        distill(config, stages=["tokenizer"])


def test_what_a_killed_training_of_other_settings_left_is_thrown_away(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole.parent, tmp_path / "copy")
    run = tmp_path / "copy/run"
    shutil.rmtree(run / "systems/hl")
    left = run / "systems/hl/.1.training"
    left.mkdir(parents=True)
    (left / "identity").write_text("another training", encoding="utf-8")
    (left / "state.pt").write_bytes(b"no state of this one")
    (left / "weak.json").write_text("", encoding="utf-8")
    distill(tmp_path / "copy/distill.toml", stages=["hl"], device="cpu")
    assert stage(run / "systems/hl/1")["resumed_at"] == 0
    assert not left.exists()


def test_ready_teachers_with_words_of_their_own_teach_through_their_strings(
    whole: Path, tmp_path: Path
) -> None:
    told = changed(
        CONFIG,
        tokenizer={"vocabulary": 600},
        training={"tokens": 30_000},
        teachers={"path": str(whole / "teachers/{language}"), "vocabulary": "match"},
        systems={"taught": {"loss": "soft"}, "begun": {"loss": "soft+hard"}},
    )
    config = write_world(tmp_path, told)
    distill(config, stages=["corpus", "tokenizer", "teachers", "taught"], device="cpu")
    made = stage(tmp_path / "run/systems/taught/1")
    assert set(made["vocabulary"]) == set(LANGUAGES)
    assert all(0.9 < one["tokens_covered"] <= 1 for one in made["vocabulary"].values())
    assert made["losses"][-1][1] < made["losses"][0][1]
    table = stage(tmp_path / "run/diagonal")["loss"]
    assert table[0][0] < table[1][0]
    assert table[1][1] < table[0][1]


def test_a_stage_whose_ground_is_missing_says_which_to_run(tmp_path: Path) -> None:
    config = write_world(tmp_path)
    with pytest.raises(UsageError, match="--stage corpus"):
        distill(config, stages=["tokenizer"])


def test_unequal_updates_fail_the_run(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.parent, tmp_path / "copy")
    made = tmp_path / "copy/run/systems/hl/1/stage.json"
    told = json.loads(made.read_text(encoding="utf-8"))
    made.write_text(json.dumps(told | {"updates": told["updates"] + 1}), encoding="utf-8")
    with pytest.raises(WorkError, match="updates"):
        distill(tmp_path / "copy/distill.toml", stages=["evaluate"])


def test_overlap_above_what_is_stated_fails_the_run(tmp_path: Path) -> None:
    config = write_world(tmp_path, changed(CONFIG, corpus={"overlap": 0.0}))
    with pytest.raises(WorkError, match="overlap"):
        distill(config, stages=["corpus"])


def agreement(teacher: Path, student: Path, run: Path, language: str) -> float:
    """Cross-entropy of a model with a teacher on held-out text of a language, in nats."""
    asked, tokenizer = network.load(teacher)
    told, _ = network.load(student)
    stream = Stream.load(run / "tokenizer" / f"{language}.dev.npz")
    rows = Rows(stream, len(stream.ends), 32, True, tokenizer.cls_token_id, tokenizer.sep_token_id)
    special = frozenset(tokenizer.all_special_ids)
    masking = Masking(0.3, tokenizer.mask_token_id, tokenizer.pad_token_id, special, seed=9)
    costs = []
    with torch.no_grad():
        for batch in held_out_batches(rows, 0, masking):
            wanted = Dense(hidden_logits(asked.eval(), batch).softmax(-1))
            costs.append(soft_cross_entropy(hidden_logits(told.eval(), batch), wanted))
    return float(torch.cat(costs).mean())


ALONE = changed(
    CONFIG,
    languages=["de"],
    groups={"low": ["de"], "high": ["de"]},
    systems={"student": {}, "hl-balanced": {}},
)


def test_a_student_of_one_teacher_agrees_with_it_more_than_a_twin_of_hard_labels(
    tmp_path: Path,
) -> None:
    config = write_world(tmp_path, ALONE, ["de"])
    stages = ["corpus", "tokenizer", "teachers", "student", "hl-balanced"]
    distill(config, stages=stages, device="cpu")
    run = tmp_path / "run"
    soft, hard = (
        agreement(run / "teachers/de", run / f"systems/{name}/1", run, "de")
        for name in ("student", "hl-balanced")
    )
    assert soft < hard


@pytest.mark.parametrize("teachers", [{}, {"cached": "top-k", "maskings": 8}])
def test_total_compute_is_that_of_teachers_and_student_however_these_are_asked(
    tmp_path: Path, teachers: dict
) -> None:
    told = changed(
        ALONE,
        training={"tokens": 10_000, "batch_tokens": 256},
        teachers={"tokens": 5_000} | teachers,
        systems={"hl-unimax": {}, "student": {}},
    )
    config = write_world(tmp_path, told, ["de"])
    systems = ["student", "hl-unimax"]
    distill(config, stages=["corpus", "tokenizer", "teachers", *systems], device="cpu")
    run = tmp_path / "run"
    student, total = (stage(run / f"systems/{name}/1") for name in systems)
    wanted = student["flops"] + stage(run / "teachers/de")["flops"]
    update = total["flops"] / total["updates"]
    assert total["flops"] == pytest.approx(wanted, abs=2 * update)
    assert wanted > 10 * update


@pytest.fixture(scope="module")
def more(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More systems on the same teachers: shuffled ones, every other loss, weak teachers dropped."""
    folder = tmp_path_factory.mktemp("more")
    shutil.copytree(whole.parent, folder, dirs_exist_ok=True)
    config = folder / "distill.toml"
    told = changed(CONFIG, systems={"shuffled": {"teachers": "shuffled"}})
    config.write_text(told, encoding="utf-8")
    distill(config, stages=["shuffled"], device="cpu")
    systems = {
        "mixed": {"loss": "soft+hard"},
        "related": {"loss": "soft+hard+relation"},
        "annealed": {"loss": "hard", "sampling": "annealed"},
        "copied": {"start": "teacher:de"},
    }
    told = changed(CONFIG, systems=systems, teachers={"weak": "drop"})
    config.write_text(told, encoding="utf-8")
    distill(config, stages=list(systems), device="cpu")
    return folder / "run"


def test_shuffled_teachers_are_clearly_worse(whole: Path, more: Path) -> None:
    for language in LANGUAGES:
        own, other = (
            agreement(whole / f"teachers/{language}", place, whole, language)
            for place in (whole / "systems/student/1", more / "systems/shuffled/1")
        )
        assert own < other - 0.3


def test_every_loss_and_start_trains_the_same_number_of_tokens(whole: Path, more: Path) -> None:
    wanted = stage(whole / "systems/student/1")["tokens"]
    for name in ("shuffled", "mixed", "related", "annealed", "copied"):
        told = stage(more / f"systems/{name}/1")
        assert told["tokens"] == wanted
        assert told["losses"][-1][1] < told["losses"][0][1]


@pytest.mark.parametrize(("kind", "k"), [("top-k", 256), ("sampled", 256)])
def test_cached_teachers_make_a_student_as_live_ones_do(
    whole: Path, tmp_path: Path, kind: str, k: int
) -> None:
    shutil.copytree(whole.parent, tmp_path / "copy")
    config = tmp_path / "copy/distill.toml"
    told = changed(
        CONFIG,
        systems={"cached": {"loss": "soft"}},
        teachers={"cached": kind, "k": k, "maskings": 4},
    )
    config.write_text(told, encoding="utf-8")
    distill(config, stages=["cached"], device="cpu")
    place = tmp_path / "copy/run/systems/cached/1"
    assert stage(place)["cache_bytes"] > 0
    live = agreement(whole / "teachers/de", whole / "systems/student/1", whole, "de")
    assert agreement(whole / "teachers/de", place, whole, "de") < live + 0.5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('split = "lines"', 'splitt = "lines"', "did you mean split"),
        ("layers = 2", 'layers = "two"', "model.layers"),
        ("tokens = 150_000", "tokens = 0", "training.tokens"),
        ('low = ["hi"]', 'low = ["xx"]', "xx"),
        ("[tokenizer]", "[tokenizer", "no TOML"),
        ("seeds = [1]", f"seeds = {'[' * 10_000}", "no TOML"),
        ('out = "run"', "", "out is missing"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_named(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "distill.toml"
    path.write_text(CONFIG.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as error:
        distill(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_what_is_not_known_is_named_before_anything_is_begun(tmp_path: Path) -> None:
    config = write_world(tmp_path, changed(CONFIG, systems={"a": {"sampling": "evenly"}}))
    with pytest.raises(UsageError, match="evenly"):
        distill(config, stages=["corpus"])
    related = {"cached": "top-k"}, {"a": {"loss": "soft+relation"}}
    config.write_text(changed(CONFIG, teachers=related[0], systems=related[1]))
    with pytest.raises(UsageError, match="a cache keeps none"):
        distill(config, stages=["corpus"])
    config.write_text(changed(CONFIG, evaluate={"without": {"ner": ["fr"]}}))
    with pytest.raises(InputError, match="without names languages"):
        distill(config, stages=["corpus"])
    config.write_text(CONFIG.replace("{language}.txt", "$NOT_SET_AT_ALL/{language}.txt"))
    with pytest.raises(UsageError, match="NOT_SET_AT_ALL is not set"):
        distill(config, stages=["corpus"])
    for systems, said in (
        ({"a": {"sampling": "unimax", "options": {"epoch": 2}}}, "no option 'epoch'"),
        ({"a": {"loss": "hard", "alpha": 0.5}}, "alpha weighs a teacher's words"),
        ({"a": {"compute": "total"}}, "'total' is for loss = 'hard'"),
    ):
        config.write_text(changed(CONFIG, systems=systems))
        with pytest.raises((UsageError, InputError), match=said):
            distill(config, stages=["corpus"])
    for section, values, said in (
        ("training", {"random": 0.8, "kept": 0.8}, "at most 1 together"),
        ("training", {"packed": False}, "give one sampling"),
        ("model", {"type": "bert"}, "are of a modernbert"),
        ("groups", {"all": ["hi"]}, "the group `all` is there"),
        ("evaluate", {"mask_seeds": []}, "mask_seeds"),
        ("tokenizer", {"sampling": "unimax"}, "sampling"),
    ):
        config.write_text(changed(CONFIG, **{section: values}))
        with pytest.raises(InputError, match=said):
            distill(config, stages=["corpus"])
    config.write_text(CONFIG)
    with pytest.raises(UsageError, match="no stage"):
        distill(config, stages=["students"])
    assert not (tmp_path / "run/corpus").exists()


def test_scores_of_each_sentence_are_kept_for_the_bootstrap(whole: Path) -> None:
    with np.load(whole / "evaluation/student/1/ner.npz") as counts:
        assert set(counts) == {"hi hi", "hi de", "de hi", "de de"}
        assert counts["hi de"].shape == (100, 3)


def test_a_language_without_data_for_a_probe_is_left_out_of_it(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.parent, tmp_path / "without")
    shutil.rmtree(tmp_path / "without/de")
    config = tmp_path / "without/distill.toml"
    with pytest.raises(InputError, match="there is no such file"):
        distill(config, stages=["evaluate"], force=True)
    config.write_text(changed(CONFIG, evaluate={"without": {"ner": ["de"]}}))
    stages = ["corpus", "evaluate", "report"]
    distill(config, stages=stages, force=True, device="cpu")
    told = json.loads((tmp_path / "without/run/results.json").read_text("utf-8"))
    assert told["probes"]["ner"]["languages"] == ["hi"]
    assert np.shape(told["probes"]["ner"]["systems"]["hl"]) == (1, 1, 1)
    assert {c["group"] for c in told["comparisons"]} == {"low", "all"}
    weak = [note for note in told["notes"] if note.startswith("Weak teachers")]
    worse = [
        language
        for language, teacher in told["teachers"].items()
        if teacher["words"]["cross_entropy"]
        > min(told["words"][hard][language]["cross_entropy"][0] for hard in ("hl", "hl-balanced"))
    ]
    assert len(weak) == bool(worse)
    assert all(f"{language} (" in weak[0] for language in worse)
    assert told["teachers"]["de"]["ner"] is None


def test_two_processes_train_the_student_of_one(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.parent, tmp_path / "two")
    run = tmp_path / "two/run"
    shutil.rmtree(run / "systems/student")
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"]
    launch += ["--rdzv-endpoint", "127.0.0.1:0"]
    told = subprocess.run(
        [*launch, str(script), str(tmp_path / "two/distill.toml"), "student"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    one, two = (stage(place / "systems/student/1") for place in (whole, run))
    assert two["tokens"] == one["tokens"]
    ours, theirs = (np.array(made["losses"])[:, 1] for made in (two, one))
    np.testing.assert_allclose(ours[:20], theirs[:20], rtol=1e-3)
    assert two["final_loss"] == pytest.approx(one["final_loss"], rel=0.02)
