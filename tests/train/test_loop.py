"""The loop equals a plain one written by hand, however it is cut, stopped or short of memory."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.tracking import GeneralTracker, on_main_process
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from polymux.errors import UsageError, WorkError
from polymux.train.loop import Batch, Fitted, batches, fit
from polymux.train.recipe import Recipe

Row = tuple[list[float], int]


def small_net(dropout: float = 0.0) -> nn.Module:
    generator = torch.Generator().manual_seed(5)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return net


def rows(count: int = 22) -> list[Row]:
    generator = torch.Generator().manual_seed(9)
    points = torch.randn(count, 3, generator=generator)
    return [(p.tolist(), int(p.sum() > 0)) for p in points]


def collate(some: Sequence[Row]) -> Batch:
    return {"x": torch.tensor([x for x, _ in some]), "y": torch.tensor([y for _, y in some])}


def loss(net: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(net(batch["x"]), batch["y"])


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def trained(recipe: Recipe, *, dropout: float = 0.0, count: int = 22, **options: Any) -> nn.Module:
    net = small_net(dropout)
    fit(net, rows(count), collate, loss, recipe, device="cpu", **options)
    return net


class StoppedError(Exception):
    pass


def stop_after(updates: int) -> Callable[[str, int, int | None], None]:
    def progress(stage: str, done: int, total: int | None) -> None:
        if done == updates:
            raise StoppedError

    return progress


def by_hand(recipe: Recipe, epochs: int, accumulation: int) -> nn.Module:
    """The same training as anybody would write it: whole batches, Hugging Face's schedule."""
    net, data = small_net(), rows()
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=0.0)
    size = recipe.batch_size * accumulation
    updates = math.ceil(len(data) / size) * epochs
    schedule = get_linear_schedule_with_warmup(optimizer, int(0.1 * updates), updates)
    for epoch in range(epochs):
        order = [
            row
            for batch in batches(len(data), recipe.batch_size, seed=recipe.seed, epoch=epoch)
            for row in batch
        ]
        for first in range(0, len(data), size):
            optimizer.zero_grad()
            loss(net, collate([data[i] for i in order[first : first + size]])).backward()
            optimizer.step()
            schedule.step()
    return net


@pytest.mark.parametrize("accumulation", [1, 2, 4, 7])
def test_the_weights_are_those_of_a_plain_loop_over_whole_batches(accumulation: int) -> None:
    recipe = Recipe(lr=0.05, batch_size=3, epochs=5, accumulation=accumulation, seed=4)
    ours, theirs = trained(recipe), by_hand(recipe, 5, accumulation)
    assert torch.allclose(weights(ours), weights(theirs), atol=1e-6, rtol=0)
    assert not torch.allclose(weights(ours), weights(small_net()), atol=1e-2)


@given(
    count=st.integers(1, 60),
    size=st.integers(1, 9),
    accumulation=st.integers(1, 9),
    epochs=st.integers(1, 3),
)
def test_every_batch_is_used_once_an_epoch_and_no_update_is_missing_d27(
    count: int, size: int, accumulation: int, epochs: int
) -> None:
    seen: list[int] = []

    def counting(some: Sequence[int]) -> Batch:
        seen.extend(some)
        return {"x": torch.ones(len(some), 1)}

    net = nn.Linear(1, 1)
    recipe = Recipe(lr=1e-3, batch_size=size, epochs=epochs, accumulation=accumulation)
    fitted = fit(net, range(count), counting, lambda n, b: n(b["x"]).mean(), recipe, device="cpu")
    assert len(fitted.losses) == math.ceil(math.ceil(count / size) / accumulation) * epochs
    for epoch in range(epochs):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_parts_of_a_batch_weigh_what_they_hold() -> None:
    """Rows with many units (words) and with few, cut anyhow, give the gradient of the whole."""
    data = [[1.0], [2.0, -3.0, 4.0, 0.5, 0.25], [7.0, 1.0], [-2.0]]

    def pad(some: Sequence[list[float]]) -> Batch:
        width = max(map(len, some))
        values = torch.tensor([r + [0.0] * (width - len(r)) for r in some])
        return {"x": values, "real": values != 0}

    def mean_of_words(net: nn.Module, batch: Batch) -> Tensor:
        return (net(batch["x"][..., None])[..., 0][batch["real"]] ** 2).mean()

    def one_update(**cut: int) -> tuple[Tensor, Fitted]:
        net = nn.Linear(1, 1)
        with torch.no_grad():
            net.weight.fill_(0.3)
            net.bias.fill_(0.1)
        recipe = Recipe(lr=0.1, epochs=1, clip=1e-3, **cut)
        count = {"units": lambda batch: int(batch["real"].sum())}
        return weights(net), fit(net, data, pad, mean_of_words, recipe, device="cpu", **count)

    whole, fitted = one_update(batch_size=4)
    for size, parts in ((1, 4), (2, 2), (3, 2)):
        cut, fitted_in_parts = one_update(batch_size=size, accumulation=parts)
        assert torch.allclose(whole, cut, atol=1e-7)
        assert fitted_in_parts.losses == pytest.approx(fitted.losses, rel=1e-6)


@pytest.mark.parametrize("updates", [1, 3, 10, 47])
def test_the_schedules_are_those_of_hugging_face(updates: int) -> None:
    made = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}
    for name, make in made.items():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
        schedule = make(optimizer, int(0.1 * updates), updates)
        recipe = Recipe(lr=0.3, batch_size=1, steps=updates, schedule=name)
        for update in range(updates):
            assert recipe.rate(update, updates) == pytest.approx(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()


def test_the_stable_schedule_holds_and_cools_down_over_the_last_fifth() -> None:
    recipe = Recipe(lr=1.0, batch_size=1, steps=110, schedule="stable", warmup=10 / 110)
    assert [recipe.rate(u, 110) for u in (0, 5, 10, 89, 100)] == pytest.approx([0, 0.5, 1, 1, 0.5])


@pytest.mark.parametrize("stopped_after", [1, 4, 5, 11])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, stopped_after: int) -> None:
    recipe = Recipe(lr=0.05, batch_size=3, epochs=3, accumulation=2, seed=1)
    undisturbed = trained(recipe, dropout=0.3)
    options: dict[str, Any] = {"checkpoint": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(StoppedError):
        trained(recipe, dropout=0.3, progress=stop_after(stopped_after), **options)
    resumed = small_net(0.3)
    fitted = fit(resumed, rows(), collate, loss, recipe, device="cpu", resume=True, **options)
    assert fitted.resumed_at == stopped_after
    assert torch.equal(weights(resumed), weights(undisturbed))


def test_resuming_where_nothing_was_begun_begins(tmp_path: Path) -> None:
    recipe = Recipe(lr=0.05, batch_size=3, epochs=1)
    begun = trained(recipe, checkpoint=tmp_path, resume=True)
    assert torch.equal(weights(begun), weights(trained(recipe)))


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": Recipe(lr=0.06, batch_size=3, epochs=3)},
        {"recipe": Recipe(lr=0.05, batch_size=3, epochs=3, seed=1)},
        {"identity": "other data"},
        {"count": 21},
    ],
    ids=["rate", "seed", "identity", "rows"],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    same = {"recipe": Recipe(lr=0.05, batch_size=3, epochs=3), "checkpoint": tmp_path}
    with pytest.raises(StoppedError):
        trained(**same, checkpoint_seconds=0.0, progress=stop_after(2))
    with pytest.raises(UsageError, match="other settings or other data"):
        trained(**(same | other), resume=True)


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from test_loop import *
def die(stage, done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
trained(Recipe(lr=0.05, batch_size=3, epochs=3), dropout=0.3,
        checkpoint=Path(sys.argv[1]), checkpoint_seconds=0.0, progress=die)
"""


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    script = textwrap.dedent(KILLED.format(folder=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    recipe = Recipe(lr=0.05, batch_size=3, epochs=3)
    resumed = trained(recipe, dropout=0.3, checkpoint=tmp_path, resume=True)
    assert torch.equal(weights(resumed), weights(trained(recipe, dropout=0.3)))


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    recipe = Recipe(lr=0.05, batch_size=3, epochs=3)
    with pytest.raises(StoppedError):
        trained(recipe, checkpoint=tmp_path, checkpoint_seconds=0.0, progress=stop_after(2))
    (tmp_path / "state.pt.part").write_bytes(b"half of a checkp")
    resumed = trained(recipe, checkpoint=tmp_path, resume=True)
    assert torch.equal(weights(resumed), weights(trained(recipe)))


def test_the_seed_decides_and_nothing_else_does() -> None:
    recipe = {"lr": 0.05, "batch_size": 3, "epochs": 2}
    first = trained(Recipe(**recipe, seed=2), dropout=0.3)
    torch.manual_seed(12345)
    assert torch.equal(weights(first), weights(trained(Recipe(**recipe, seed=2), dropout=0.3)))
    assert not torch.equal(weights(first), weights(trained(Recipe(**recipe, seed=22), dropout=0.3)))


def test_global_random_numbers_are_left_as_they_were() -> None:
    net = small_net(0.3)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(net, rows(), collate, loss, Recipe(0.05, 3, epochs=1), device="cpu")
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("fits", [1, 2, 3])
def test_short_of_memory_the_gradient_stays_the_same(fits: int) -> None:
    def hungry(net: nn.Module, batch: Batch) -> Tensor:
        if len(batch["y"]) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(net, batch)

    recipe = Recipe(lr=0.05, batch_size=8, epochs=3)
    net = small_net()
    fitted = fit(net, rows(), collate, hungry, recipe, device="cpu")
    assert torch.allclose(weights(net), weights(trained(recipe)), atol=1e-5)
    assert len(fitted.notes) == 1
    assert "out of memory" in fitted.notes[0]


def test_one_row_that_does_not_fit_on_a_cpu_is_an_error() -> None:
    def starving(net: nn.Module, batch: Batch) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    with pytest.raises(WorkError, match="one example does not fit"):
        fit(small_net(), rows(), collate, starving, Recipe(0.1, 4, epochs=1), device="cpu")


def test_a_loss_that_is_not_a_number_stops_the_training() -> None:
    recipe = Recipe(0.1, 4, epochs=1)
    for broken in (math.nan, math.inf):
        with pytest.raises(WorkError, match="the loss became") as caught:
            fit(
                small_net(),
                rows(),
                collate,
                lambda net, batch, times=broken: loss(net, batch) * times,
                recipe,
                device="cpu",
            )
        assert "--lr" in caught.value.hint
        assert caught.value.exit_code == 1


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 5), st.booleans())
def test_batches_hold_every_row_once(count: int, size: int, epoch: int, bucketed: bool) -> None:
    lengths = [i % 7 for i in range(count)] if bucketed else None
    cut = batches(count, size, seed=1, epoch=epoch, lengths=lengths)
    assert sorted(row for batch in cut for row in batch) == list(range(count))
    assert len(cut) == math.ceil(count / size)
    assert max(map(len, cut)) <= size


def test_buckets_pad_less_and_epochs_differ() -> None:
    lengths = [(37 * i) % 100 for i in range(1000)]

    def padding(cut: list[list[int]]) -> int:
        return sum(max(lengths[i] for i in b) * len(b) - sum(lengths[i] for i in b) for b in cut)

    plain = batches(1000, 10, seed=0, epoch=0)
    bucketed = batches(1000, 10, seed=0, epoch=0, lengths=lengths)
    assert padding(bucketed) * 5 < padding(plain)
    assert bucketed != batches(1000, 10, seed=0, epoch=1, lengths=lengths)
    assert plain != batches(1000, 10, seed=0, epoch=1)


class Notebook(GeneralTracker):
    name = "notebook"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, Any] = {}
        self.lines: list[tuple[int | None, dict[str, Any]]] = []
        self.finished = False

    @property
    def tracker(self) -> Any:
        return self

    @on_main_process
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.config = values

    @on_main_process
    def log(self, values: dict[str, Any], step: int | None, **more: Any) -> None:
        self.lines.append((step, values))

    @on_main_process
    def finish(self) -> None:
        self.finished = True


def test_a_tracker_sees_settings_and_every_update() -> None:
    book = Notebook()
    recipe = Recipe(lr=0.05, batch_size=11, epochs=2, schedule="constant", warmup=0.0)
    net = small_net()
    fitted = fit(net, rows(), collate, loss, recipe, device="cpu", trackers=[book])
    assert book.config["lr"] == 0.05
    assert book.lines == [(i + 1, {"loss": x, "lr": 0.05}) for i, x in enumerate(fitted.losses)]
    assert book.finished


@pytest.mark.parametrize("name", ["nothing-of-the-kind", "comet_ml"])
def test_a_tracker_that_is_not_there_is_the_users_error(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        trained(Recipe(0.1, 4, epochs=1), trackers=[name])


def test_decay_spares_biases_and_is_off_by_default() -> None:
    def decayed(weight_decay: float) -> nn.Module:
        net = small_net()
        recipe = Recipe(0.1, 4, epochs=1, weight_decay=weight_decay)
        fit(net, rows(4), collate, lambda n, b: n(b["x"]).sum() * 0, recipe, device="cpu")
        return net

    start, kept, shrunk = small_net(), decayed(0.0), decayed(0.5)
    assert torch.equal(weights(start), weights(kept))
    assert torch.equal(start[0].bias, shrunk[0].bias)
    assert torch.allclose(start[0].weight * 0.95, shrunk[0].weight)


def test_bfloat16_lowers_the_forward_pass_and_leaves_the_weights_in_float32() -> None:
    seen: list[torch.dtype] = []

    def looking(net: nn.Module, batch: Batch) -> Tensor:
        out = net(batch["x"])
        seen.append(out.dtype)
        return nn.functional.cross_entropy(out.float(), batch["y"])

    net = small_net()
    fit(net, rows(), collate, looking, Recipe(0.1, 4, steps=2, precision="bfloat16"), device="cpu")
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_the_losses_are_told_by_epoch() -> None:
    fitted = Fitted((4.0, 2.0, 1.0, 0.0, 3.0), 2, 0, 1.0, ())
    assert fitted.epoch_losses == [3.0, 0.5, 3.0]


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(UsageError, match="nothing to train on"):
        fit(small_net(), [], collate, loss, Recipe(0.1, 4, epochs=1), device="cpu")
