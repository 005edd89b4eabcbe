"""reproduce and explain on a model the real tasks made: the same bytes again, or what differs and why."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import redis
from typer.testing import CliRunner

from core.errors import BlockedError, InputError
from core.signals.signal import signal_id
from core.stores.bundle_store import CONTENT, open_bundle
from core.stores.catalog_index import read_index
from core.stores.files import sha256_file
from core.stores.journal import Journal
from core.stores.lake import Lake
from core.stores.market_data import load_pairs
from core.stores.partition import BARS, PartitionKey, iso, parquet_bytes
from core.stores.registry import Registry
from core.stores.signing import SigningKeys
from laptop.servers import EmbeddedPostgres, EmbeddedRedis
from tasks.__main__ import app
from tasks.decisions import DeployedDecision
from tasks.examination import bars_until, examine
from tasks.explain import explain_bar, explain_signal
from tasks.infer import JOURNAL, infer_newest
from tasks.reproduce import reproduce_model
from tests.integration.reproduction.published import Published, publish_tiny_market

HOUR = 3600


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: EmbeddedPostgres,
    redis_server: EmbeddedRedis,
    _migrated_template: str,
) -> Iterator[Published]:
    url = postgres_server.create_database("reproduction", template=_migrated_template)
    yield publish_tiny_market(tmp_path_factory.mktemp("reproduction"), url, redis_server.url)
    postgres_server.drop_database("reproduction")


@pytest.fixture(scope="module")
def signal(published: Published) -> dict[str, Any]:
    """The newest signal the model ever gave, sent."""
    context, version = published.context, published.version
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    decision = DeployedDecision(open_bundle(context.roots.models / version, keys.public_key))
    pairs = load_pairs(context.roots, context.settings, read_index(context.run(version).dataset_index), None)
    newest = max(found.ts for bars in pairs.values() if (found := decision.newest(bars, len(bars))) is not None)
    sent = infer_newest(context, version, version, iso(newest + HOUR)).outputs["signal"]
    assert sent["metadata"]["bar_ts"] == newest
    return dict(sent)


@pytest.fixture
def altered(published: Published) -> Iterator[Path]:
    """bars.parquet of a recorded partition; after the test it and its snapshot are one file again."""
    symbol = sorted(published.context.settings.universe.symbols)[0]
    lake = Lake(published.context.roots.canonical)
    key = PartitionKey("1h", symbol, lake.months("1h", symbol)[3])
    path = lake.folder(key) / BARS
    snapshot = published.context.roots.snapshots / key.folder / f"{lake.meta(key)['data_hash']}.parquet"
    assert snapshot.samefile(path)
    whole = path.read_bytes()
    yield path
    path.unlink(missing_ok=True)
    snapshot.write_bytes(whole)
    path.hardlink_to(snapshot)


def _restate(path: Path) -> bytes:
    """The partition's bars with one volume changed."""
    table = pq.ParquetFile(path).read()
    volume = table["volume"].to_numpy().copy()
    volume[5] += 1.0
    place = table.schema.get_field_index("volume")
    return parquet_bytes(table.set_column(place, table.schema.field(place), [volume]))


def test_a_model_is_rebuilt_to_the_byte_from_restated_bars_and_another_configuration(
    published: Published, altered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A later import replaced a partition, and the configuration at hand has another seed."""
    context, version = published.context, published.version
    restated = _restate(altered)
    altered.unlink()
    altered.write_bytes(restated)
    retrain = context.settings.retrain_policy.model_copy(update={"seed": 1})
    changed = replace(context, settings=context.settings.model_copy(update={"retrain_policy": retrain}))
    before = Registry(context.variables.postgres_url).history()
    result = reproduce_model(changed, version)
    assert (result.status, result.exit_code, result.outputs["differing"]) == ("reproduced", 0, [])
    identity = context.run(version).read_identity()
    assert result.outputs["files"]["config.json"]["recorded"] == identity.config_hash
    assert set(result.outputs["files"]) == set(CONTENT)
    for name, hashes in result.outputs["files"].items():
        assert hashes["recorded"] == hashes["rebuilt"] == sha256_file(context.roots.models / version / name)
    key = "/".join(altered.parts[-4:-1])
    assert result.outputs["partitions_from_snapshots"] == [key]
    printed = capsys.readouterr().out
    assert "model_ai1.pkl" in printed
    assert f"{key} " in printed
    assert Registry(context.variables.postgres_url).history() == before
    assert not list(context.roots.runs.glob(".reproduce*"))


def test_what_differs_is_named_and_kept_where_it_can_be_looked_at(
    published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Other code, asked for with --any-code, whose trees come out different."""
    monkeypatch.setattr("tasks.reproduce.code_hash", lambda _: "0" * 40)
    monkeypatch.setattr("tasks.train.dump", lambda model: orjson.dumps(len(model.trees)))
    result = reproduce_model(published.context, published.version, any_code=True, out=tmp_path / "rebuilt")
    assert (result.status, result.exit_code) == ("differs", 12)
    assert result.outputs["differing"] == ["model_ai1.pkl", "model_ai2.pkl", "model_ai3.pkl"]
    assert result.outputs["code"]["running"] == "0" * 40
    kept = tmp_path / "rebuilt" / "runs" / published.version / "model" / "model_ai1.pkl"
    assert sha256_file(kept) == result.outputs["files"]["model_ai1.pkl"]["rebuilt"]
    with pytest.raises(InputError, match="REPRODUCE_OUT_EXISTS"):
        reproduce_model(published.context, published.version, any_code=True, out=tmp_path / "rebuilt")


def test_other_code_is_blocked_and_says_what_to_check_out(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = published.context.run(published.version).read_identity().code_hash
    monkeypatch.setattr("tasks.reproduce.code_hash", lambda _: "0" * 40)
    with pytest.raises(BlockedError, match="REPRODUCE_CODE_DIFFERS") as caught:
        reproduce_model(published.context, published.version)
    assert f"check out {recorded.partition('+')[0]}" in caught.value.remedy


def test_bars_that_are_nowhere_any_more_are_named(published: Published, altered: Path) -> None:
    """Written over in place: the snapshot, which is the same file, went with it."""
    restated = _restate(altered)
    with altered.open("r+b") as file:
        file.write(restated)
        file.truncate()
    key = "/".join(altered.parts[-4:-1])
    with pytest.raises(BlockedError, match=f"REPRODUCE_DATA_CHANGED.*{key}"):
        reproduce_model(published.context, published.version)
    snapshot = next((published.context.roots.snapshots / key).glob("*.parquet"))
    snapshot.unlink()
    altered.unlink()
    with pytest.raises(BlockedError, match=f"{key} is absent"):
        reproduce_model(published.context, published.version)


def test_a_version_that_is_not_there_and_a_touched_bundle_are_refused(published: Published, tmp_path: Path) -> None:
    context, version = published.context, published.version
    with pytest.raises(InputError, match="RECORD_MODEL_ABSENT"):
        reproduce_model(context, "20240101_0000_00000000")
    copies = replace(context.roots, models=tmp_path)
    copy = shutil.copytree(context.roots.models / version, tmp_path / version)
    (copy / "run.json").write_bytes(b"{}")
    with pytest.raises(InputError, match="BUNDLE_"):
        reproduce_model(replace(context, roots=copies), version)


def test_a_sent_signal_is_explained_and_equals_its_record(
    published: Published, signal: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result = explain_signal(published.context, signal["id"])
    assert (result.status, result.exit_code, result.outputs["differing"]) == ("equal", 0, [])
    outputs = result.outputs
    assert outputs["signal"] == outputs["recorded"] == signal
    assert outputs["recorded_in"] == "infer.sqlite (sent)"
    assert outputs["features"]["z"] == signal["z_score"]
    assert outputs["scores"]["return_prob"] == signal["return_prob"]
    assert all(condition["holds"] for condition in outputs["conditions"])
    assert len(outputs["conditions"]) == 8
    assert set(outputs["scaled"]) == set(published.context.settings.core_policy.model_inputs)
    printed = capsys.readouterr().out
    assert "equals the recorded one byte for byte" in printed


def test_a_signal_whose_journal_is_lost_is_found_in_redis(published: Published, signal: dict[str, Any]) -> None:
    journal = published.context.roots.journal
    journal.rename(journal.with_name("elsewhere"))
    try:
        result = explain_signal(published.context, signal["id"])
    finally:
        journal.with_name("elsewhere").rename(journal)
    assert (result.status, result.outputs["recorded_in"]) == ("equal", "Redis stream core:signals")


def _tamper(published: Published, identity: str, **changes: Any) -> None:
    path = published.context.roots.journal / JOURNAL
    with Journal(path) as journal:
        body = orjson.loads(journal.body(identity) or b"")
    with sqlite3.connect(path) as connection:
        changed = orjson.dumps({**body, **changes}, option=orjson.OPT_SORT_KEYS)
        connection.execute("UPDATE signals SET body = ? WHERE id = ?", (changed, identity))


def test_a_tampered_record_is_shown_as_different(
    published: Published, signal: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        _tamper(published, signal["id"], position_scale=0.987)
        result = explain_signal(published.context, signal["id"])
        assert (result.status, result.exit_code, result.outputs["differing"]) == ("differs", 12, ["position_scale"])
        assert "0.987" in capsys.readouterr().out
        _tamper(published, signal["id"], pair_id="AAA-BBB")
        with pytest.raises(InputError, match=r"EXPLAIN_RECORD_ALTERED.*do not give this id"):
            explain_signal(published.context, signal["id"])
        _tamper(published, signal["id"], z_score="wide")
        with pytest.raises(InputError, match=r"EXPLAIN_RECORD_ALTERED.*it is no signal"):
            explain_signal(published.context, signal["id"])
    finally:
        _tamper(published, signal["id"], **signal)


def test_an_unknown_id_bar_pair_and_run_are_named(published: Published, signal: dict[str, Any]) -> None:
    context, version, pair = published.context, published.version, signal["pair_id"]
    for identity in ("0" * 32, "what"):
        with pytest.raises(InputError, match="EXPLAIN_SIGNAL_UNKNOWN"):
            explain_signal(context, identity)
    with pytest.raises(InputError, match="EXPLAIN_BAR_ABSENT"):
        explain_bar(context, version, pair, "2023-01-01T00:30:00Z", None)
    with pytest.raises(InputError, match="CATALOG_PAIR_UNKNOWN"):
        explain_bar(context, version, "AAA-BBB", signal["timestamp"], None)
    bar = iso(signal["metadata"]["bar_ts"])
    with pytest.raises(InputError, match="RECORD_RUN_ABSENT"):
        explain_bar(context, version, pair, bar, "20230101_0000_00000000")
    nothing = replace(context, roots=replace(context.roots, canonical=Path("/none"), snapshots=Path("/none")))
    with pytest.raises(InputError, match="EXPLAIN_BARS_MISSING"):
        explain_bar(nothing, version, pair, bar, None)
    pruned = replace(context, roots=replace(context.roots, models=Path("/none")))
    with pytest.raises(InputError, match="RECORD_MODEL_ABSENT"):
        explain_signal(pruned, signal["id"])


def test_conditions_decide_at_every_bar_as_the_decision_does(published: Published, signal: dict[str, Any]) -> None:
    """Bars without features, that pass and that do not."""
    context, version = published.context, published.version
    keys = SigningKeys.below(context.roots.archive, context.settings.environment.signing)
    decision = DeployedDecision(open_bundle(context.roots.models / version, keys.public_key))
    pairs = load_pairs(context.roots, context.settings, read_index(context.run(version).dataset_index), None)
    bars = pairs[signal["pair_id"]]
    passing = int(np.searchsorted(bars.ts, signal["metadata"]["bar_ts"]))
    seen = set()
    for bar in (10, *range(passing - 60, passing + 20)):
        cut = bars_until(bars, int(bars.ts[bar]))
        assert cut is not None
        examination = examine(decision, cut)
        newest = decision.newest(cut, 1)
        assert examination.passed == newest
        assert all(each.holds for each in examination.conditions) == (newest is not None)
        seen.add((examination.scores is None, newest is None))
    assert seen == {(True, True), (False, True), (False, False)}


def test_the_command_line_explains_and_refuses(published: Published, signal: dict[str, Any]) -> None:
    variables = published.context.variables
    environ = {
        "POSTGRES_URL": variables.postgres_url,
        "REDIS_URL": variables.redis_url,
        "SERVICE_ENV": "dev",
        "LOG_LEVEL": "INFO",
        "TZ": "UTC",
        "ARCHIVE_PATH": str(published.context.roots.archive),
    }

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["--config", str(published.config_root), *words], env=environ)

    bar, pair = iso(signal["metadata"]["bar_ts"]), signal["pair_id"]
    shown = run("explain", "--model-version", published.version, "--pair", pair, "--bar", bar)
    assert shown.exit_code == 0, shown.stderr
    last = json.loads(shown.stdout.splitlines()[-1])
    assert (last["status"], last["outputs"]["signal"]["id"]) == ("replayed", signal["id"])
    assert last["outputs"]["signal"]["id"] == signal_id(pair, signal["metadata"]["bar_ts"], published.version)
    assert run("explain", "--pair", pair).exit_code == 2
    absent = run("reproduce", "--model-version", "20240101_0000_00000000")
    assert absent.exit_code == 20
    with redis.Redis.from_url(variables.redis_url) as client:
        assert client.xlen("core:signals") == 1
