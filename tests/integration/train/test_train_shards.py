"""A training in parts: whatever shards ran, and how they ended, predictions, models and metrics are the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from core.models import walk_forward
from core.models.walk_forward import FINAL
from core.stores.run_folder import RunFolder
from tasks.context import TaskContext
from tasks.shard import Shard
from tasks.train import fit_shard, train_run
from tests.fixtures.tiny_market import TinyMarket, written
from tests.integration.lake.test_shards import shard_runs


class Fits:
    """Does the fits in this process, each only once in all; `done` are those asked for since it was last emptied."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._known: dict[str, Any] = {}

    def run_jobs(
        self, jobs: Sequence[Any], arguments: tuple[Any, ...], _: int, on_progress: Callable[[int, int], None]
    ) -> list[Any]:
        for number, job in enumerate(jobs, start=1):
            name = job.keywords["step"].name if isinstance(job, partial) else FINAL
            if name not in self._known:
                self._known[name] = job(*arguments)
            self.done.append(name)
            on_progress(number, len(jobs))
        return [self._known[name] for name in self.done[len(self.done) - len(jobs) :]]


@pytest.fixture(scope="module")
def fits() -> Iterator[Fits]:
    with pytest.MonkeyPatch.context() as patch:
        made = Fits()
        patch.setattr(walk_forward, "run_jobs", made.run_jobs)
        yield made


@pytest.fixture(scope="module")
def straight(tiny_market: TinyMarket, fits: Fits) -> dict[str, bytes]:
    """What a training without shards leaves."""
    return _trained(tiny_market, tiny_market.new_run())


def _trained(market: TinyMarket, run: RunFolder, context: TaskContext | None = None) -> dict[str, bytes]:
    train_run(context or market.context(), run.path.name, market.version)
    return written(run, "train", "model")


def _fit(market: TinyMarket, run: RunFolder, *shards: Shard) -> None:
    for shard in shards:
        fit_shard(market.context(), run.path.name, market.version, shard)


@given(runs=shard_runs())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shards_in_any_order_give_the_same_predictions_and_models(
    tiny_market: TinyMarket, straight: dict[str, bytes], fits: Fits, runs: list[Shard]
) -> None:
    run = tiny_market.new_run()
    fits.done.clear()
    _fit(tiny_market, run, *runs)
    assert set(written(run, "train", "model")) == {
        str(path.relative_to(run.path)) for path in run.training_parts.rglob("*.npz")
    }
    assert _trained(tiny_market, run) == straight
    assert len(fits.done) == len(set(fits.done)), "nothing is fitted twice"


def test_what_shards_have_fitted_is_not_fitted_again(
    tiny_market: TinyMarket, straight: dict[str, bytes], fits: Fits
) -> None:
    run = tiny_market.new_run()
    fits.done.clear()
    outputs = [
        fit_shard(tiny_market.context(), run.path.name, tiny_market.version, Shard(number, 2)).outputs
        for number in (2, 1)
    ]
    fitted = list(fits.done)
    assert sorted(each["fits"] for each in outputs) == [len(fitted) // 2, len(fitted) - len(fitted) // 2]
    assert _trained(tiny_market, run) == straight
    assert fits.done == fitted


def test_a_damaged_part_is_fitted_again(tiny_market: TinyMarket, straight: dict[str, bytes], fits: Fits) -> None:
    run = tiny_market.new_run()
    _fit(tiny_market, run, Shard(1, 1))
    parts = sorted(run.training_parts.rglob("*.npz"))
    for path in parts:
        path.write_bytes(path.read_bytes()[:-40])
    fits.done.clear()
    assert _trained(tiny_market, run) == straight
    assert sorted(fits.done) == [path.stem for path in parts]


def test_parts_made_by_another_configuration_are_not_taken_over(
    tiny_market: TinyMarket, straight: dict[str, bytes], fits: Fits
) -> None:
    context, run = tiny_market.context(), tiny_market.new_run()
    _fit(tiny_market, run, Shard(1, 1))
    policy = context.settings.retrain_policy.model_copy(update={"min_starts": 101})
    other = replace(context, settings=context.settings.model_copy(update={"retrain_policy": policy}))
    fits.done.clear()
    assert _trained(tiny_market, run, other) == straight
    assert FINAL in fits.done


def test_a_killed_shard_on_the_command_line_is_harmless(
    tiny_market: TinyMarket, straight: dict[str, bytes], fits: Fits
) -> None:
    run, words = tiny_market.new_run(), ["--shard=1/2"]
    tiny_market.command().kill_at_file("final.npz", *tiny_market.words("train", run.path.name), *words)
    assert FINAL not in {path.stem for path in run.training_parts.rglob("*.npz")}
    fits.done.clear()
    assert _trained(tiny_market, run) == straight
    assert FINAL in fits.done
