"""The first signal: which decision it is, that it is sent once, and what is said when there is none."""

from __future__ import annotations

import datetime
import itertools
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
import redis

from core.errors import InputError, TransientError
from core.features.batch import build_features
from core.labels.starts import find_starts
from core.market.pairs import PairBars
from core.signals.signal import Signal, signal_schema
from core.stores.files import read_json
from core.stores.journal import Journal
from tasks.context import TaskContext
from tasks.infer import JOURNAL, infer_newest
from tests.integration.infer.deployed import HOUR, deploy_model, reverting_pair
from tests.integration.publish.judged_runs import make_context, version_of


@pytest.fixture
def context(tmp_path: Path, registry_url: str, redis_url: str) -> TaskContext:
    return make_context(tmp_path, registry_url, redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def pairs(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> dict[str, PairBars]:
    """Bars of the universe's first three pairs, served in place of the lake's."""
    ids = [pair.id for pair in context.settings.universe.pairs[:3]]
    pairs = {pair_id: reverting_pair(pair_id, seed) for seed, pair_id in enumerate(ids)}
    monkeypatch.setattr("tasks.infer.read_index", lambda _: None)
    monkeypatch.setattr("tasks.infer.load_pairs", lambda *_: pairs)
    return pairs


def _close(bars: PairBars, bar: int) -> str:
    return datetime.datetime.fromtimestamp(int(bars.ts[bar]) + HOUR, datetime.UTC).isoformat()


def _starts(context: TaskContext, bars: PairBars) -> dict[int, float]:
    """Bar → z of every start the decision does not refuse, from the batch features of all bars."""
    core = context.settings.core_policy
    table = build_features(bars, core.feature_windows)
    starts = find_starts(bars, table, core.label, core.decision)
    z = table.column("z")
    return {int(bar): float(z[bar]) for bar in starts if abs(z[bar]) < core.decision.z_stop}


def test_the_newest_passing_decision_of_all_pairs_is_emitted(
    context: TaskContext, pairs: dict[str, PairBars], client: Any
) -> None:
    first = next(iter(pairs.values()))
    version = deploy_model(context, first)
    as_of = _close(first, -1)
    result = infer_newest(context, version, version, as_of)
    newest = {pair_id: max(_starts(context, bars)) for pair_id, bars in pairs.items()}
    pair_id = max(newest, key=lambda each: (newest[each], each))
    signal = Signal.model_validate_json(orjson.dumps(result.outputs["signal"]))
    assert (signal.pair_id, signal.metadata["bar_ts"]) == (pair_id, int(pairs[pair_id].ts[newest[pair_id]]))
    assert signal.z_score == _starts(context, pairs[pair_id])[newest[pair_id]]
    assert signal.timestamp + datetime.timedelta(hours=1) == signal.valid_until
    assert (signal.return_prob, signal.risk_score, signal.theta1, signal.risk_flag) == (0.9, 0.1, 0.71, False)
    assert 0.0 < signal.position_scale <= 1.0
    assert signal.model_version == version
    jsonschema.validate(result.outputs["signal"], orjson.loads(signal_schema()))
    ((_, entry),) = client.xrange("core:signals")
    assert entry["signal"] == signal.to_json().decode()
    content = read_json(context.run(version).signal)
    assert (content["signal"]["id"], content["reason"], content["as_of"]) == (signal.id, None, as_of)
    assert content["expired"] is (newest[pair_id] < len(first) - 2)


def test_bars_that_have_not_closed_are_not_seen(context: TaskContext, pairs: dict[str, PairBars]) -> None:
    pair_id, bars = next(iter(pairs.items()))
    for other in list(pairs)[1:]:
        del pairs[other]
    version = deploy_model(context, bars)
    earlier, later = sorted(_starts(context, bars))[-2:]
    for as_of, expected in ((_close(bars, later), later), (_close(bars, later - 1), earlier)):
        signal = infer_newest(context, version, version, as_of).outputs["signal"]
        assert signal["metadata"]["bar_ts"] == int(bars.ts[expected])
    moved = replace(bars, close_a=np.where(np.arange(len(bars)) >= later, bars.close_a * 1.1, bars.close_a))
    pairs[pair_id] = moved
    again = infer_newest(context, version, version, _close(bars, later - 1)).outputs["signal"]
    assert again["metadata"]["bar_ts"] == int(bars.ts[earlier])
    assert again["z_score"] == _starts(context, bars)[earlier]


def test_only_the_newest_bars_are_scanned(context: TaskContext, pairs: dict[str, PairBars]) -> None:
    bars = next(iter(pairs.values()))
    for other in list(pairs)[1:]:
        del pairs[other]
    version = deploy_model(context, bars)
    starts = sorted(_starts(context, bars))
    before, after = max(itertools.pairwise(starts), key=lambda gap: gap[1] - gap[0])
    as_of = _close(bars, after - 1)

    def scan(count: int) -> Any:
        core = context.settings.core_policy
        signal = core.signal.model_copy(update={"scan_bars": count})
        settings = context.settings.model_copy(update={"core_policy": core.model_copy(update={"signal": signal})})
        return infer_newest(replace(context, settings=settings), version, version, as_of).outputs

    assert scan(after - before)["signal"]["metadata"]["bar_ts"] == int(bars.ts[before])
    assert scan(after - before - 1)["signal"] is None


def test_emitting_twice_is_emitting_once(context: TaskContext, pairs: dict[str, PairBars], client: Any) -> None:
    bars = next(iter(pairs.values()))
    version = deploy_model(context, bars)
    first = infer_newest(context, version, version, _close(bars, -1))
    assert infer_newest(context, version, version, _close(bars, -1)) == first
    (context.roots.journal / JOURNAL).unlink()
    infer_newest(context, version, version, _close(bars, -1))
    assert client.xlen("core:signals") == 1


def test_redis_out_of_reach_keeps_the_signal_for_the_next_try(
    context: TaskContext, pairs: dict[str, PairBars], client: Any
) -> None:
    bars = next(iter(pairs.values()))
    version = deploy_model(context, bars)
    unreachable = replace(context, variables=replace(context.variables, redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(TransientError, match="BUS_SERVER_UNREACHABLE"):
        infer_newest(unreachable, version, version, _close(bars, -1))
    assert not context.run(version).signal.exists()
    signal = infer_newest(context, version, version, _close(bars, -1)).outputs["signal"]
    assert client.xlen("core:signals") == 1
    with Journal(context.roots.journal / JOURNAL) as journal:
        assert journal.state(signal["id"]) == "sent"


def test_that_none_passes_is_a_result(context: TaskContext, pairs: dict[str, PairBars], client: Any) -> None:
    bars = next(iter(pairs.values()))
    version = deploy_model(context, bars, return_prob=0.7)
    outputs = infer_newest(context, version, version, _close(bars, -1)).outputs
    assert outputs["signal"] is None
    scanned = context.settings.core_policy.signal.scan_bars
    assert outputs["reason"] == f"no decision of the last {scanned} bars of 3 pairs passes"
    assert read_json(context.run(version).signal)["reason"] == outputs["reason"]
    assert client.exists("core:signals") == 0


def test_a_model_that_is_not_deployed_emits_nothing(context: TaskContext, pairs: dict[str, PairBars]) -> None:
    bars = next(iter(pairs.values()))
    outputs = infer_newest(context, version_of(2), version_of(2), _close(bars, -1)).outputs
    assert (outputs["signal"], outputs["reason"]) == (None, f"{version_of(2)} is not deployed: no model is")
    version = deploy_model(context, bars)
    outputs = infer_newest(context, version_of(2), version_of(2), _close(bars, -1)).outputs
    assert outputs["reason"] == f"{version_of(2)} is not deployed: {version} is"


class _Canary:
    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self._path,))


def test_a_touched_bundle_is_refused_before_anything_of_it_is_loaded(
    context: TaskContext, pairs: dict[str, PairBars], tmp_path: Path, client: Any
) -> None:
    bars = next(iter(pairs.values()))
    version = deploy_model(context, bars)
    canary = tmp_path / "canary"
    (context.roots.shared / version / "model_ai1.pkl").write_bytes(pickle.dumps(_Canary(canary)))
    with pytest.raises(InputError, match=r"BUNDLE_.*refused"):
        infer_newest(context, version, version, _close(bars, -1))
    assert not canary.exists()
    assert client.exists("core:signals") == 0
