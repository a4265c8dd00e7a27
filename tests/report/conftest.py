"""Facts as a real choice would give them, in many scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from polymux.report import Facts

TEXTS = {
    "ar": "متى يجب أن أتناول دواء ضغط الدم بعد العشاء؟",
    "ur": "کیا میں یہ دوا کھانے سے پہلے لے سکتا ہوں یا بعد میں لینا بہتر ہے؟",
    "hi": "क्या मुझे बुखार में भी अपनी रोज़ की दवा लेनी चाहिए?",
    "th": "ฉันควรกินยาลดความดันก่อนนอนหรือหลังอาหารเย็นดีคะ",
    "zh": "请提醒我明天早上八点吃降压药，谢谢。",
    "ja": "明日の朝八時に薬を飲むように知らせてください。",
    "ko": "내일 아침 여덟 시에 약 먹으라고 알려 줘.",
    "de": "Erinnere mich bitte morgen früh an die Blutdrucktabletten.",
    "tr": "Yarın sabah sekizde tansiyon ilacımı hatırlatır mısın?",
    "sw": "Nikumbushe kunywa dawa ya shinikizo la damu kesho asubuhi.",
    "ta": "நாளை காலை எட்டு மணிக்கு மருந்து எடுக்க நினைவூட்டு.",
    "he": "תזכיר לי לקחת את התרופה ללחץ דם מחר בשמונה בבוקר.",
    "am": "ነገ ጠዋት መድኃኒቴን እንድወስድ አስታውሰኝ።",
    "ru": "Напомни мне завтра в восемь утра принять таблетки от давления.",
    "my": "မနက်ဖြန် မနက် ရှစ်နာရီမှာ ဆေးသောက်ဖို့ သတိပေးပါ။",
    "en-hi": "kal subah 8 baje BP ki tablet yaad dila dena pls 🙏🏽💊 (URGENT!!)",
}


def sample_facts(
    *,
    pool: int = 8000,
    chosen: int = 100,
    target: int = 300,
    languages: int | None = len(TEXTS),
    sample: int = 5000,
    repeat: int = 1,
    seed: int = 0,
) -> Facts:
    """A choice by knn-uncertainty as it might have been; `repeat` makes every text longer."""
    rng = np.random.default_rng(seed)
    tags = list(TEXTS)
    names = [
        tags[i] if i < len(tags) else f"{tags[i % len(tags)][:2]}-x{i}"
        for i in range(languages or len(tags))
    ]
    weights = rng.dirichlet(np.full(len(names), 2.0))
    language = rng.choice(len(names), pool, p=weights)
    centres = rng.normal(size=(len(names), 2)) * 3
    place = centres[language] + rng.normal(size=(pool, 2)) * rng.uniform(0.4, 1.0, (pool, 1))
    towards = centres[1] * 0.6 + centres[0] * 0.4
    target_place = towards + rng.normal(size=(target, 2)) * 0.9
    distance = np.sqrt(((place[:, None] - target_place[:50]) ** 2).sum(-1)).mean(1) + 2
    unsure = -rng.beta(1.3, 1.1, pool)
    picks = np.argsort(distance)[: 6 * chosen]
    picks = picks[np.argsort(-unsure[picks])][:chosen]

    def nearest(rows: np.ndarray) -> list[float]:
        return (cKDTree(place[rows]).query(target_place)[0] + 0.3).tolist()

    def text(i: int) -> str:
        return f"{TEXTS[tags[i % len(tags)]]} {i}. " * repeat

    def point(kind: str, i: int, xy: np.ndarray, **more: Any) -> dict[str, Any]:
        return {
            "kind": kind,
            "x": float(xy[0]),
            "y": float(xy[1]),
            "text": text(i),
            "id": f"{kind}/train.conllu#{i}",
            "language": None,
            "rank": None,
            "uncertainty": None,
            **more,
        }

    def of(i: int) -> dict[str, Any]:
        name = names[language[i]] if languages else None
        return {
            "text": text(int(language[i])),
            "language": name,
            "uncertainty": float(unsure[i]),
        }

    kept = rng.choice(pool, min(sample, pool), replace=False)
    points = [point("pool", int(i), place[i], **of(i)) for i in kept]
    points += [point("target", i, target_place[i]) for i in range(target)]
    points += [
        point("chosen", int(i), place[i], **(of(i) | {"rank": rank}))
        for rank, i in enumerate(picks, 1)
    ]
    counts = {
        "pool": {n: int((language == i).sum()) for i, n in enumerate(names)},
        "chosen": {n: int((language[picks] == i).sum()) for i, n in enumerate(names)},
    }
    first = [
        {
            "rank": rank,
            "id": f"pool/train.conllu#{i}",
            "text": text(int(language[i])),
            "language": names[language[i]] if languages else None,
            "uncertainty": float(unsure[i]),
            "distance": float(distance[i]),
            "nearest": [
                {"id": f"mine.txt#{j + 1}", "distance": 0.4 + j, "text": text(int(i) + j)}
                for j in range(min(2, target))
            ],
            "prediction": {
                "labels": ["O", "B-medicine", "O", "B-time"],
                "scores": [0.98, 0.41, 0.9, 0.55],
            },
        }
        for rank, i in enumerate(picks[:20], 1)
    ]
    return {
        "version": "0.1.0",
        "title": "100 utterances for the Urdu health assistant",
        "task": "token-classification",
        "strategy": "knn-uncertainty",
        "strategy_line": "Of the nearest pool examples of every target example the least sure.",
        "budget": chosen,
        "seed": 2,
        "model": "models/xlm-r-english-slots",
        "settings": {"uncertainty": "margin-min", "k": 4, "device": "cpu", "dtype": "float32"},
        "narrowed_from": None,
        "source": {
            "paths": ["ud/*/train.conllu", "slots/train.conll"],
            "read": pool + 122,
            "duplicates": 112,
            "excluded": 10,
            "rejected": 3,
            "truncated": 17,
            "words_lost": 240,
        },
        "target": {
            "paths": ["mine.txt"],
            "read": target,
            "duplicates": 0,
            "excluded": 0,
            "rejected": 0,
            "truncated": 0,
            "words_lost": 0,
        },
        "languages": counts if languages else None,
        "map": {"method": "PCA", "explained": [0.21, 0.12], "points": points},
        "uncertainty": {
            "measure": "margin-min",
            "pool": unsure.tolist(),
            "chosen": unsure[picks].tolist(),
        },
        "distance": {"pool": distance.tolist(), "chosen": distance[picks].tolist()},
        "coverage": {
            "pool": nearest(np.arange(pool)),
            "chosen": nearest(picks),
            "random": nearest(rng.choice(pool, chosen, replace=False)),
        },
        "first": first,
        "warnings": [
            "12 target examples also stand in the pool; leave them out with --exclude-target",
            "the file mine.txt was read as windows-1256",
        ],
        "seconds": {"read": 1.2, "encode": 61.4, "choose": 0.31, "write": 0.9},
        "peak_memory_mb": 1510.4,
    }


@pytest.fixture(scope="session")
def make_facts() -> Callable[..., Facts]:
    return sample_facts
