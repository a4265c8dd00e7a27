"""The card of a model that was made here: what it is, of what, for what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polymux.distill.settings import Settings

RECONSTRUCTION = (
    "The method is that of the slides of Limisiewicz, Malkin and Stanovsky (SIGTYP 2023); what "
    "they leave open (shape, loss, temperature, masks, schedule, sampling unit, probes) is a "
    "reconstruction, and each choice is a setting."
)


def model_card(settings: Settings, place: str, told: Mapping[str, Any]) -> str:
    """A README in Hugging Face's form."""
    languages = list(told["languages"])
    kind = "a monolingual teacher" if "language" in told else f"the system `{told['system']}`"
    rows = "\n".join(
        f"| {language} | {part['kept_tokens']:,} | {part['share']:.1%} | {part['epochs']:.2f} |"
        for language, part in told["languages"].items()
    )
    return f"""---
language: [{", ".join(f'"{language}"' for language in languages)}]
library_name: transformers
pipeline_tag: fill-mask
tags: [polymux]
---
# {place}

A masked language model, {kind} of a run of `polymux distill` {told["polymux"]}.
{RECONSTRUCTION}

- Shape: {settings.model.type}, {told["parameters"]["all"]:,} parameters
  ({told["parameters"]["without_embeddings"]:,} without the embeddings), rows of up to
  {settings.model.length} tokens, cased, accents kept.
- Training: {told["updates"]:,} updates of {told["tokens_an_update"]:,.0f} tokens, \
{told["flops"] / 1e15:.2f} PFLOP, {told["seconds"]:,.0f} s.

| language | tokens of text | share of what was read | epochs |
|---|--:|--:|--:|
{rows}

It is a start for `polymux train` and `polymux select`; it has no head for a task yet. It was
trained on little text and repeats what stands there.
"""
