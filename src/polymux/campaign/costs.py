"""What a campaign has spent, in the unit of its budget, and what each choice may cost and hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from polymux.annotation import Answer
from polymux.campaign.settings import Costs
from polymux.prescribe.costs import SIZES, cost_of
from polymux.records import Example

# Fewer timed labels of a language say little of what it takes.
TIMED = 10
# Sums of costs differ by rounding.
_LEAST = 1e-6

Timed = Iterable[tuple[Example, Iterable[Answer]]]


def measured_rates(costs: Costs, timed: Timed) -> dict[str, float]:
    """Minutes by language, from what tools told of the time that labels took (`lead_time`).

    Time of what was skipped, and of every further annotator, counts too: a label takes it.
    """
    if costs.unit != "minutes" or not costs.measured:
        return dict(costs.rates)
    minutes: dict[str, float] = defaultdict(float)
    sizes: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for example, answers in timed:
        given = [answer for answer in answers if answer.seconds is not None]
        language = example.language or ""
        minutes[language] += sum(answer.seconds or 0.0 for answer in given) / 60
        if any(answer.state == "labelled" for answer in given):
            sizes[language] += SIZES[costs.per](example)
            labels[language] += 1
    known = {
        name: minutes[name] / sizes[name]
        for name, count in labels.items()
        if count >= TIMED and minutes[name] > 0
    }
    return {**costs.rates, **known}


def cost_by(costs: Costs, rates: Mapping[str, float]) -> Callable[[Example], float]:
    """What an example costs, in the unit of the budget."""
    return cost_of(costs.unit, rates, costs.per)


def overrun(costs: Costs, over: float) -> str | None:
    """A sentence on what was spent beyond the budget; None where nothing was."""
    if over < _LEAST:
        return None
    unit = costs.counted
    late = "answers came after others had been given out in their place"
    why = f"labels took more than expected, or {late}" if costs.unit == "minutes" else late
    more = f"{over:,.10g} {unit.removesuffix('s') if over == 1 else unit}"
    return f"{more} more than the budget: {why}, or it was lowered"


def paid(
    costs: Costs,
    cost: Callable[[Example], float],
    example: Example,
    answers: Iterable[Answer],
    *,
    is_labelled: bool,
) -> float:
    """What an example took: all minutes that were told of it, else what a label is expected to."""
    told = [answer.seconds for answer in answers if answer.seconds is not None]
    if costs.unit == "minutes" and costs.measured and told:
        return float(sum(told)) / 60
    return cost(example) if is_labelled else 0.0
