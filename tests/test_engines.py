"""Engines: whoever works on the shards, the numbers and the choice are the same."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from tests.models import tiny_model
from tests.prescribe.worlds import pool, write_conllu
from tests.readers_of_shards import Another, Choosy, Deadly, Slow, shards

import polymux as pm
import polymux.engines.cluster as on_cluster
import polymux.engines.local as on_this
import polymux.records
from polymux.cli import main
from polymux.engines import ENGINES, Engine, opened
from polymux.errors import InputError, ModelError, UsageError, WorkError
from polymux.prescribe import select_many
from polymux.records import Pool
from polymux.store import Store
from polymux.tasks import TASKS, Measure

TASK = "token-classification"
SIZES = {"en": 40, "de": 30, "hi": 20}
STRATEGIES = ("knn-uncertainty", "average-dist", "uncertainty", "random")
# Ray leaves the processes that it started to the system, and its files to the end of Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file.*ray:ResourceWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> pm.Model:
    return pm.Model(folder, task=TASK, device="cpu")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster on this machine, with room for all workers of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        ray.init(address="local", num_cpus=16, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


@pytest.fixture(scope="module")
def crew(cluster: str) -> Iterator[Callable[[int], Any]]:
    """Open engines by their number of workers, each opened once."""
    with ExitStack() as stack:
        known: dict[int, Engine] = {}

        def of(workers: int) -> Engine:
            if workers not in known:
                known[workers] = stack.enter_context(opened("ray", None, workers))
            return known[workers]

        yield of


@pytest.fixture(scope="module")
def processes() -> Iterator[Engine]:
    """Two processes of this machine, opened once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with opened("local", None, 2) as hands:
            yield hands


@pytest.fixture(params=[*ENGINES, "processes"])
def engine(request: pytest.FixtureRequest, crew: Callable[[int], Any]) -> Iterator[Engine]:
    """Every engine of the table, the local one also as several processes."""
    if request.param == "ray":
        yield crew(2)
        return
    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    with opened(request.param) as hands:
        yield hands


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polymux.records, "SHARD_SIZE", 8)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as a worker has: sums are taken in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def source() -> Pool:
    """Three languages, and the first twelve examples once more at the end."""
    examples = list(pool(SIZES))
    return Pool.of([*examples, *examples[:12]], TASK, name="source")


def choices(model: pm.Model, engine: str = "local", **options: Any) -> dict[str, Any]:
    made = select_many(
        model, source(), pool({"ur": 20}, name="target"), budgets=[15], strategies=STRATEGIES,
        engine=engine, **options,
    )  # fmt: skip
    return {name: choice for (name, _), choice in made.items()}


def told(chosen: dict[str, Any]) -> dict[str, Any]:
    """All that is said of what was chosen, and the counts of the pool."""
    counts = ("read", "duplicates", "excluded", "fingerprint")
    return {
        name: (made.picks, made.manifest["facts"], [made.manifest["source"][c] for c in counts])
        for name, made in chosen.items()
    }  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.usefixtures("small_shards", "one_thread")
def test_any_number_of_workers_gives_the_same_choice_and_every_bit(
    model: pm.Model, crew: Callable[[int], Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "crew", lambda address, workers: nullcontext(crew(workers)))
    expected = choices(model)
    assert expected["random"].manifest["source"]["duplicates"] == 12
    assert told(choices(model, "crew", workers=workers)) == told(expected)
    alone, shared = (
        list(pm.encode(source(), model)),
        list(pm.encode(source(), model, engine=crew(workers))),
    )
    assert len(alone) == 13
    for (shard, one), (other_shard, other) in zip(alone, shared, strict=True):
        assert other_shard == shard
        assert other.rows.tolist() == one.rows.tolist() == shard.rows.tolist()
        assert other.embeddings.tobytes() == one.embeddings.tobytes()
        assert other.languages == one.languages
        assert other.predictions == one.predictions
        for name, values in one.uncertainty.items():
            assert other.uncertainty[name].tobytes() == values.tobytes()


@pytest.mark.usefixtures("small_shards", "one_thread")
def test_processes_of_this_machine_give_the_same_choice_and_every_bit(
    model: pm.Model, processes: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "two", lambda address, workers: nullcontext(processes))
    assert told(choices(model, "two")) == told(choices(model))
    for (_, one), (_, other) in zip(
        pm.encode(source(), model), pm.encode(source(), model, engine=processes), strict=True
    ):
        assert one.embeddings.tobytes() == other.embeddings.tobytes()
        assert one.predictions == other.predictions


@pytest.mark.usefixtures("small_shards", "one_thread")
def test_a_killed_process_is_an_error_that_keeps_what_was_encoded(
    model: pm.Model, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    with opened("local", None, 2) as hands:
        run = pm.encode(source(), model, store, engine=hands)
        next(run)
        for process in list(hands.pool._processes):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(WorkError, match="a process that was encoding is gone") as failed:
            list(run)
    assert "the next run goes on" in failed.value.hint
    assert len(list(tmp_path.rglob("*.parquet"))) >= 1
    again = pm.select(model, source(), pool({"ur": 20}, name="target"), budget=15, store=tmp_path)
    assert again.picks == choices(model)["knn-uncertainty"].picks


@pytest.mark.parametrize(
    ("said", "expected"), [("", []), ("0", ["0"]), ("1,3", ["1", "3"]), (None, ["0", "1"])]
)
def test_processes_share_the_devices_that_are_visible(
    said: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(on_this, "DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert on_this._devices() == expected


@pytest.mark.usefixtures("small_shards", "one_thread")
def test_a_worker_killed_in_the_middle_costs_its_shards_only(
    model: pm.Model, crew: Callable[[int], Any], tmp_path: Path
) -> None:
    hands, store = crew(2), Store(tmp_path)
    list(pm.encode(pool({"zh": 20}), model, engine=hands))
    before = [ray.get(actor.process.remote()) for actor in hands.actors]
    run = pm.encode(source(), model, store, engine=hands)
    first = next(run)
    os.kill(before[0], signal.SIGKILL)
    parts = [first, *run]
    after = [ray.get(actor.process.remote()) for actor in hands.actors]
    assert after[0] != before[0]
    assert after[1] == before[1]
    for (shard, one), (other_shard, other) in zip(pm.encode(source(), model), parts, strict=True):
        assert shard == other_shard
        assert one.embeddings.tobytes() == other.embeddings.tobytes()
    again = pm.select(model, source(), pool({"ur": 20}, name="target"), budget=15, store=tmp_path)
    assert again.picks == choices(model)["knn-uncertainty"].picks


def test_a_shard_in_the_hands_of_a_killed_worker_is_given_out_again(
    crew: Callable[[int], Any],
) -> None:
    hands, reader = crew(2), Slow(3.0)
    # Workers are hired for the first shard.
    hands.begin(Slow(), shards(1)[0].examples)(lambda share: None)
    victim = ray.get(hands.actors[0].process.remote())
    finishes = [hands.begin(reader, shard.examples) for shard in shards(4)]
    # The first shard takes three seconds.
    os.kill(victim, signal.SIGKILL)
    made = [finish(lambda share: None).embeddings for finish in finishes]
    assert np.concatenate(made)[:, 0].tolist() == list(range(1, 13))
    assert victim not in np.concatenate(made)[:, 1]


def test_a_shard_that_kills_every_worker_is_an_error_with_a_hint(
    crew: Callable[[int], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "RETRIES", 1)
    with opened("ray", None, 1) as hands:
        finish = hands.begin(Deadly(tmp_path), shards(1)[0].examples)
        with pytest.raises(WorkError, match="workers failed") as failed:
            finish(lambda share: None)
    assert "--batch-tokens" in failed.value.hint
    assert len(list(tmp_path.iterdir())) == 2


def test_shards_come_in_their_order_whoever_is_faster(engine: Engine) -> None:
    reader, given = Slow(0.4), shards(9)
    finishes = [engine.begin(reader, shard.examples) for shard in given]
    lines = [finish(lambda share: None).embeddings[:, 0].tolist() for finish in finishes]
    assert lines == [[example.line for example in shard.examples] for shard in given]
    assert set(reader.notes) == {"slow"}


def test_what_an_engine_gives_may_be_written_to(engine: Engine) -> None:
    encodings = engine.begin(Slow(), shards(1)[0].examples)(lambda share: None)
    encodings.embeddings[0] = 7
    assert encodings.embeddings[0, 0] == 7


def test_all_workers_work(crew: Callable[[int], Any]) -> None:
    hands = crew(4)
    begun = [hands.begin(Slow(0.5), shard.examples) for shard in shards(8)]
    assert hands.ahead == len(begun) == 8
    seen = {finish(lambda share: None).embeddings[0, 1] for finish in begun}
    assert seen == {ray.get(actor.process.remote()) for actor in hands.actors}
    assert os.getpid() not in seen


def test_an_error_arrives_as_it_was_raised_with_its_file_and_line(engine: Engine) -> None:
    finish = engine.begin(Choosy(), shards(2)[1].examples)
    with pytest.raises(InputError) as failed:
        finish(lambda share: None)
    assert type(failed.value) is InputError
    assert str(failed.value) == "deep/w.txt:5: not this one\n  hint: take another"


@pytest.mark.usefixtures("small_shards")
def test_what_the_model_cannot_see_or_compute_names_the_example(
    engine: Engine, model: pm.Model, tmp_path: Path
) -> None:
    invisible = pm.Example("x#9", "x.txt", 9, {"tokens": ("\u200d",)})
    unseen = Pool.of([*pool({"en": 12}), invisible], TASK)
    with pytest.raises(InputError, match=r"^x\.txt:9: the model sees none"):
        list(pm.encode(unseen, model, engine=engine))
    broken = tiny_model(tmp_path, seed=1)
    _break(broken)
    with pytest.raises(WorkError, match=r"^en\.txt:1: .*not finite"):
        list(pm.encode(pool({"en": 12}), pm.Model(broken, task=TASK, device="cpu"), engine=engine))


def _break(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})


def test_a_model_that_is_another_one_on_the_worker_is_refused(
    crew: Callable[[int], Any], model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = crew(2).begin(Another(), shards(1)[0].examples)
    with pytest.raises(ModelError, match="is another one than here") as refused:
        finish(lambda share: None)
    assert "same path" in refused.value.hint
    mine = Measure("words", lambda d: np.diff(d.starts, append=len(d.log_p)).astype(float))
    monkeypatch.setitem(TASKS[TASK].MEASURES, "mine", mine)
    with pytest.raises(ModelError, match="entry point"):
        list(pm.encode(pool({"en": 5}), model, engine=crew(2)))


def test_a_model_travels_as_what_it_was_made_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    options = {
        "max_length": 40, "stride": 7, "batch_tokens": 99, "dtype": "bfloat16",
        "aggregate": "worst", "offline": True,
    }  # fmt: skip
    model = pm.Model(folder.name, task=TASK, device="auto", **options)
    pickled, fingerprint = pickle.dumps(model), model.fingerprint
    monkeypatch.chdir("/")
    back = pickle.loads(pickled)
    assert back.fingerprint == fingerprint
    assert back.settings == model.settings
    assert "auto" not in back.settings.values()
    assert len(pickled) < 1000


def test_nothing_is_started_where_the_store_holds_everything(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    list(pm.encode(source(), model, store))
    monkeypatch.setattr(on_cluster, "_connect", lambda address: pytest.fail("connected"))
    with opened("ray") as hands:
        assert len(list(pm.encode(source(), model, store, engine=hands))) == 1


def test_without_ray_the_hint_says_how_to_get_it(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="Ray is not installed") as refused:
        choices(model, "ray")
    assert refused.value.hint == "pip install 'polymux[ray]'"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "dask"}, "no engine 'dask'"),
        ({"workers": 0}, "--workers is 0"),
        ({"ray_address": "h:1"}, "--ray-address is for the engine ray"),
        ({"engine": "ray", "workers": 0}, "--workers is 0"),
    ],
)
def test_options_that_cannot_be_are_refused(
    model: pm.Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choices(model, **options)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "is no address"),
        ("nowhere", "is no address"),
        ("127.0.0.1:99999999", "no Ray cluster answers"),
    ],
)
def test_an_address_where_no_cluster_answers_is_refused_at_once(
    model: pm.Model, address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with opened("ray", address) as hands, pytest.raises(UsageError, match=message):
        list(pm.encode(source(), model, engine=hands))


@pytest.mark.parametrize(
    ("there", "count", "share"), [(2, 1, 2.0), (7, 2, 3.0), (2, 3, 0.6666), (4, 4, 1.0)]
)
def test_shares_of_a_cluster_fit_into_it(there: int, count: int, share: float) -> None:
    assert on_cluster._share(there, count) == share
    assert share * count <= there


PRIVATE = """
import os, signal, time
from polymux.engines import opened
from polymux.errors import InputError
from tests.readers_of_shards import Choosy, Slow, shards
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with opened("ray", None, 2) as hands:
    print(hands.begin(Slow(), shards(1)[0].examples)(print).embeddings[:, 0].tolist())
    import ray
    os.kill(ray.get(hands.actors[0].process.remote()), signal.SIGKILL)
    print(hands.begin(Slow(1.0), shards(2)[1].examples)(print).embeddings[:, 0].tolist())
    ray.get([actor.process.remote() for actor in hands.actors])
    time.sleep(1)  # Ray would tell of it by now
    bad = [hands.begin(Choosy(), shard.examples) for shard in shards(2)]
    try:
        bad[0](print)
    except InputError as error:
        print(error.place)
    ray.wait(list(hands.given), num_returns=len(hands.given))
    bad.clear(), hands.given.clear()
    print([node["NodeManagerAddress"] for node in ray.nodes()])
    print(ray.get_runtime_context().gcs_address.split(":")[0])
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
print(ray.is_initialized())
"""


def test_ray_on_this_machine_is_reached_by_this_machine_only_says_nothing_and_ends() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())])}
    for name in ("RAY_ADDRESS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", PRIVATE], capture_output=True, text=True, env=environment
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[1.0, 2.0, 3.0]", "[4.0, 5.0, 6.0]", "deep/w.txt:2",
        "['127.0.0.1']", "127.0.0.1", "True", "False",
    ]  # fmt: skip


def test_select_on_a_cluster_writes_what_select_here_writes(
    cluster: str, folder: Path, tmp_path: Path
) -> None:
    for language, count in SIZES.items():
        write_conllu(tmp_path / "source", language, count)
    write_conllu(tmp_path / "target", "ur", 25)
    asked = [
        *("select", str(folder), "--task", TASK, "--device", "cpu", "--budget", "10"),
        *("--source", str(tmp_path / "source"), "--target", str(tmp_path / "target")),
        *("--store", "off", "--quiet", "--out"),
    ]
    outs = [tmp_path / "local", tmp_path / "ray"]
    main([*asked, str(outs[0])])
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from polymux.cli import main; main()", *asked, str(outs[1])),
            *("--engine", "ray", "--ray-address", cluster, "--workers", "1"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [(out / "to_label.jsonl").read_text("utf-8") for out in outs]
    assert lines[0] == lines[1]
    manifests = [json.loads((out / "selection.json").read_text("utf-8")) for out in outs]
    assert [m["settings"]["engine"] for m in manifests] == ["local", "ray"]
    assert [m["settings"]["workers"] for m in manifests] == [None, 1]
    assert manifests[0]["model"] == manifests[1]["model"]
