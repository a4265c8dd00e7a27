"""What a model said when it chose: a label that may be given, and how sure it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polymux.campaign import Settings, State
from polymux.campaign.ledger import Ledger
from polymux.campaign.suggestions import suggestions

WORDS = {"labels": ["O", "B-PLACE"], "scores": [0.9, 0.4]}
NOWHERE = {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("task", "labels", "prediction", "expected"),
    [
        ("token-classification", ("O", "B-PLACE"), WORDS, (("O", "B-PLACE"), 0.4)),
        ("token-classification", ("NOUN", "B-PLACE"), WORDS, None),
        ("text-classification", ("yes", "no"), {"label": "no", "score": 0.7}, ("no", 0.7)),
        ("text-classification", ("yes",), {"label": "no", "score": 0.7}, None),
        ("question-answering", (), {"answers": NOWHERE, "score": 0.5}, (NOWHERE, 0.5)),
        ("text-classification", ("yes",), None, None),
    ],
)
def test_a_suggestion_is_a_label_that_may_be_given_as_sure_as_its_least_sure_word(
    task: Any, labels: tuple[str, ...], prediction: Any, expected: Any, tmp_path: Path
) -> None:
    lines = [{"id": "a#1", "prediction": prediction}, {"id": "a#2"}]
    (tmp_path / "to_label.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add("begun")
    ledger.add("issued", round=1, file="to_label.jsonl", ids=["a#1", "a#2"], wanted=2)
    settings = Settings(model="m", task=task, source=("s",), target=("t",), budget=2)
    state = State(tmp_path, settings, ledger, labels, [])
    assert suggestions(state, 1) == ({} if expected is None else {"a#1": expected})
    assert suggestions(state, 2) == {}
