from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
import yaml

from core.config.settings import Settings
from core.errors import BlockedError, InputError
from core.models.windows import Windows
from core.stores.bundle_store import CONTENT, assemble
from core.stores.run_folder import PreviousModel
from core.stores.signing import SigningKeys, make_keys
from tasks.context import TaskContext
from tasks.deployed_replay import replay_deployed
from tasks.replay_record import read_deployed
from tests.unit.backtest.market import HOUR
from tests.unit.backtest.test_replay import market_of, predictions_of
from tests.unit.thresholds.test_theta_task import context_of

PREVIOUS = PreviousModel("20240201_0000_deadbeef", 0.7, 0.3)
SCHEMA = "a" * 64


def publish(context: TaskContext, predictions: pd.DataFrame, *, schema: bytes | None = None) -> None:
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    make_keys(keys)
    sink = io.BytesIO()
    predictions.to_parquet(sink)
    content: dict[str, Path | bytes] = dict.fromkeys(CONTENT, b"{}")
    content["oos_predictions.parquet"] = sink.getvalue()
    content["feature_schema.json"] = f'{{"schema_hash": "{SCHEMA}"}}'.encode() if schema is None else schema
    content["params.yaml"] = yaml.safe_dump({"model_version": PREVIOUS.model_version}).encode()
    assemble(context.roots.models / PREVIOUS.model_version, content, keys)


def context_needing(folder: Path, settings: Settings, days: int) -> TaskContext:
    limits = settings.backtest_policy.adoption.model_copy(update={"comparison_days_min": days})
    policy = settings.backtest_policy.model_copy(update={"adoption": limits})
    return context_of(folder, settings.model_copy(update={"backtest_policy": policy}))


def windows_from(settings: Settings, adoption_start: int) -> Windows:
    bars = market_of(settings).bars["EURJPY-GBPJPY"]
    first, end = int(bars.ts[0]), int(bars.ts[-1]) + HOUR
    return Windows(first, first, adoption_start, adoption_start, end, ())


def test_its_predictions_are_replayed_over_the_shared_span(tmp_path: Path, settings: Settings) -> None:
    context, market = context_needing(tmp_path, settings, 0), market_of(settings)
    bars = market.bars["EURJPY-GBPJPY"]
    earlier = predictions_of(market).assign(ts=lambda frame: frame["ts"] - pd.Timedelta(days=90))
    publish(context, pd.concat([earlier, predictions_of(market)], ignore_index=True))
    run = context.run("R")
    span, note = replay_deployed(
        context, run, market, PREVIOUS, windows_from(settings, int(bars.ts[2])), schema_hash=SCHEMA
    )
    assert span == (int(bars.ts[2]), int(bars.ts[4]) + HOUR)
    assert PREVIOUS.model_version in note
    assert "schema" not in note
    assert read_deployed(run)[0].ts.tolist() == bars.ts[[0, 4]].tolist()


def test_too_few_shared_days_or_none_are_said(tmp_path: Path, settings: Settings) -> None:
    context, market = context_needing(tmp_path, settings, 30), market_of(settings)
    bars = market.bars["EURJPY-GBPJPY"]
    publish(context, predictions_of(market))
    run = context.run("R")
    span, note = replay_deployed(
        context, run, market, PREVIOUS, windows_from(settings, int(bars.ts[2])), schema_hash=SCHEMA
    )
    assert span is None
    assert "30 are needed" in note
    span, note = replay_deployed(
        context, run, market, PREVIOUS, windows_from(settings, int(bars.ts[5])), schema_hash=SCHEMA
    )
    assert span is None
    assert "no out-of-sample prediction" in note
    span, note = replay_deployed(
        context, run, market, None, windows_from(settings, int(bars.ts[2])), schema_hash=SCHEMA
    )
    assert span is None
    assert "no model is deployed" in note


@pytest.mark.parametrize("schema", [b'{"schema_hash": "b"}', b"{}", b"[1]", b"not json"])
def test_a_model_of_another_feature_schema_is_compared_on_its_stored_predictions(
    tmp_path: Path, settings: Settings, schema: bytes
) -> None:
    context, market = context_needing(tmp_path, settings, 0), market_of(settings)
    publish(context, predictions_of(market), schema=schema)
    windows = windows_from(settings, int(market.bars["EURJPY-GBPJPY"].ts[2]))
    span, note = replay_deployed(context, context.run("R"), market, PREVIOUS, windows, schema_hash=SCHEMA)
    assert span is not None
    assert "another feature schema" in note


def test_predictions_of_another_form_block(tmp_path: Path, settings: Settings) -> None:
    context, market = context_needing(tmp_path, settings, 0), market_of(settings)
    publish(context, predictions_of(market).drop(columns=["ai2", "z"]))
    windows = windows_from(settings, int(market.bars["EURJPY-GBPJPY"].ts[2]))
    with pytest.raises(BlockedError, match=r"ADOPTION_DEPLOYED_UNREADABLE.*no column z, ai2"):
        replay_deployed(context, context.run("R"), market, PREVIOUS, windows, schema_hash=SCHEMA)


def test_a_touched_bundle_is_refused(tmp_path: Path, settings: Settings) -> None:
    context, market = context_needing(tmp_path, settings, 0), market_of(settings)
    publish(context, predictions_of(market))
    path = context.roots.models / PREVIOUS.model_version / "oos_predictions.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="BUNDLE"):
        replay_deployed(context, context.run("R"), market, PREVIOUS, windows_from(settings, 0), schema_hash=SCHEMA)
