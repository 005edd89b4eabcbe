"""`universe init` writes a configuration that loads and imports the bars it was made from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from core.config.loader import ServiceEnvironment, load_settings
from core.config.settings import Settings
from core.config.sources import FileProvider
from core.market.bars import epoch_seconds, stamps
from core.market.calendar import expected_bars, expected_opens, find_holes
from core.market.universe import calendar_of
from core.providers.file_import import FileImport
from tasks.__main__ import app
from tests.unit.market.examples import CONFIGS, HOUR, at, calendar

START, END = at("2021-01-01T00:00"), at("2021-07-01T00:00")
FX_OPENS = expected_opens(calendar(), HOUR, START, END)
ALL_HOURS = np.arange(START, END, HOUR, dtype=np.int64)
DATA = Path(os.environ.get("MARKET_DATA", Path(__file__).parents[4] / "shared" / "data")) / "fx_h1"


def _frame(ts: Any, price: float, decimals: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(0).standard_normal(ts.size)
    close = price * np.exp(1e-3 * np.cumsum(common + rng.standard_normal(ts.size)))
    prices = np.column_stack((close, close * 1.001, close * 0.999, close)).round(decimals)
    frame = pd.DataFrame(prices, columns=["open", "high", "low", "close"])
    return frame.assign(volume=5.0, ts=stamps(ts))


def _run(*arguments: object) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(app, ["universe", "init", *(str(argument) for argument in arguments)])
    return result, json.loads(result.stdout.splitlines()[-1]) if result.stdout else {}


def _made(data: Path, out: Path, *options: object) -> tuple[Settings, dict[str, Any]]:
    result, line = _run("--data", data, "--out", out, *options)
    assert (result.exit_code, line["status"]) == (0, "done"), result.output
    for environment in get_args(ServiceEnvironment):
        assert load_settings(out, environment).universe == load_settings(out, "prod").universe
    return load_settings(out, "dev"), line["outputs"]


def _imported(settings: Settings, folder: Path, symbol: str) -> pd.DataFrame:
    (provider,) = settings.sources.providers
    assert isinstance(provider, FileProvider)
    return FileImport(provider, folder).fetch(symbol, settings.pipeline_policy.timeframe_default).frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bars"
    path.mkdir()
    return path


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data absent")
def test_symbols_of_the_base_universe_keep_their_entries(tmp_path: Path) -> None:
    settings, outputs = _made(DATA, tmp_path / "config")
    base = load_settings(CONFIGS, "prod")
    assert settings.universe == base.universe
    assert settings.cost_table == base.cost_table
    assert outputs["left_out"] == {}
    assert len(outputs["pairs"]) >= 12


def test_unknown_currency_pairs_in_parquet(folder: Path, tmp_path: Path) -> None:
    names = ["NZDUSD", "EURUSD", "NZDCAD", "USDCAD", "EURCAD", "USDSGD", "USDSEK", "EURSEK", "USDNOK", "EURNOK"]
    for seed, name in enumerate(names):
        _frame(FX_OPENS, 1.5, 5, seed).to_parquet(folder / f"{name}.parquet")
    settings, outputs = _made(folder, tmp_path / "config")
    universe = settings.universe
    nzd = universe.symbols["NZDUSD"]
    assert (nzd.base, nzd.quote, nzd.tick_size, nzd.contract_size) == ("NZD", "USD", 0.00001, 100_000.0)
    assert universe.symbols["USDCAD"] == load_settings(CONFIGS, "prod").universe.symbols["USDCAD"]
    assert len(universe.pairs) >= 12
    chosen = calendar_of(universe, "NZDUSD")
    assert find_holes(expected_bars(chosen, HOUR, START, END), FX_OPENS, chosen.edge_tolerance_bars) == []
    assert epoch_seconds(_imported(settings, folder, "NZDUSD")["ts"]).tolist() == FX_OPENS.tolist()
    text = (tmp_path / "config" / "base" / "universe.yaml").read_text(encoding="utf-8")
    marked = [line for line in text.splitlines() if "# a guess" in line]
    assert len(marked) == 1 + 9 + len(universe.pairs)
    assert outputs["timeframe"] == "1h"


@pytest.mark.parametrize(
    ("columns", "stamp_format", "stem"),
    [
        (("Date", "Open", "High", "Low", "Close", "tick_volume"), "%Y-%m-%d %H:%M:%S", "{}h1"),
        (("TIMESTAMP", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"), "%Y.%m.%d %H:%M", "{}_H1"),
        (("datetime", "o", "h", "l", "c", "v"), "%Y-%m-%dT%H:%M:%S", "{}60"),
        (("<time>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"), "%d.%m.%Y %H:%M:%S.000", "{}"),
    ],
)
def test_vendors_text_files(
    folder: Path, tmp_path: Path, columns: tuple[str, ...], stamp_format: str, stem: str
) -> None:
    for seed, name in enumerate(("EURUSD", "GBPUSD", "NZDUSD")):
        frame = _frame(FX_OPENS, 1.5, 5, seed)
        frame["ts"] = frame["ts"].dt.strftime(stamp_format)
        renamed = frame[["ts", "open", "high", "low", "close", "volume"]].set_axis(list(columns), axis=1)
        renamed.to_csv(folder / f"{stem.format(name)}.csv", index=False)
    settings, outputs = _made(folder, tmp_path / "config")
    assert sorted(outputs["symbols"]) == ["EURUSD", "GBPUSD", "NZDUSD"]
    read = _imported(settings, folder, "EURUSD")
    assert np.array_equal(epoch_seconds(read["ts"]), FX_OPENS)
    assert np.array_equal(read["close"], _frame(FX_OPENS, 1.5, 5, 0)["close"])


def test_server_time_and_prices_in_points(folder: Path, tmp_path: Path) -> None:
    for seed, (name, price, power) in enumerate((("AUDUSD", 0.7, 5), ("USDJPY", 110.0, 3))):
        frame = _frame(FX_OPENS, price, power, seed)
        frame["ts"] = frame["ts"].dt.tz_convert("Europe/Athens").dt.tz_localize(None)
        for column in ("open", "high", "low", "close"):
            frame[column] *= 10**power
        frame.to_csv(folder / f"{name}.csv", index=False)
    settings, _ = _made(folder, tmp_path / "config")
    for seed, (name, price, power) in enumerate((("AUDUSD", 0.7, 5), ("USDJPY", 110.0, 3))):
        read = _imported(settings, folder, name)
        assert np.array_equal(epoch_seconds(read["ts"]), FX_OPENS)
        assert np.array_equal(read["close"], _frame(FX_OPENS, price, power, seed)["close"])
    assert "# A guess: prices of AUDUSD (100000), USDJPY (1000) are whole points" in (
        tmp_path / "config/base/sources.yaml"
    ).read_text("utf-8")


@pytest.mark.parametrize(("symbol", "price"), [("USDINR", 83.1), ("USDTRY", 32.1), ("USDHUF", 352.4)])
def test_a_high_price_is_no_price_in_points(folder: Path, tmp_path: Path, symbol: str, price: float) -> None:
    frame = _frame(FX_OPENS, price, 4, 0)
    frame.to_parquet(folder / f"{symbol}.parquet")
    _frame(FX_OPENS, 1.5, 5, 1).to_parquet(folder / "EURUSD.parquet")
    settings, _ = _made(folder, tmp_path / "config")
    assert np.array_equal(_imported(settings, folder, symbol)["close"], frame["close"])


def test_coins_trade_always_and_another_time_frame_is_seen(folder: Path, tmp_path: Path) -> None:
    quarter_hours = np.arange(START, START + 4000 * 900, 900, dtype=np.int64)
    for seed, (name, price) in enumerate((("BTCUSDT", 30_000.0), ("ETHUSDT", 1800.0), ("ADAEUR", 0.4))):
        _frame(quarter_hours, price, 4, seed).to_parquet(folder / f"{name}.parquet")
    settings, outputs = _made(folder, tmp_path / "config")
    assert outputs["timeframe"] == settings.pipeline_policy.timeframe_default == "15m"
    assert settings.pipeline_policy.timeframe_allowed == ("15m",)
    opens = expected_opens(calendar_of(settings.universe, "BTCUSDT"), 900, START, START + 4000 * 900)
    assert np.array_equal(opens, quarter_hours)
    assert outputs["left_out"] == {
        "ADAEUR": "no file converts its quote currency EUR to USD; add EURUSD or USDEUR to the folder"
    }
    assert "ADAEUR" not in settings.universe.symbols
    assert "# Left out: ADAEUR: no file converts" in (tmp_path / "config/base/universe.yaml").read_text("utf-8")


def test_an_existing_folder_is_left_alone_unless_forced(folder: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("EURUSD", "GBPUSD")):
        _frame(FX_OPENS, 1.5, 5, seed).to_parquet(folder / f"{name}.parquet")
    out = tmp_path / "config"
    out.mkdir()
    (out / "mine.txt").write_text("kept", encoding="utf-8")
    for options, code in (((), "CONFIG_INIT_EXISTS"), (("--force",), "CONFIG_INIT_FOREIGN")):
        result, line = _run("--data", folder, "--out", out, *options)
        assert (result.exit_code, line["error"]["code"]) == (20, code)
        assert (out / "mine.txt").read_text("utf-8") == "kept"
    (out / "mine.txt").unlink()
    _made(folder, out, "--force")
    universe = out / "base" / "universe.yaml"
    universe.write_text("spoilt", encoding="utf-8")
    _made(folder, out, "--force")
    assert sorted(path.name for path in out.iterdir()) == ["base", "envs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars", "config"]


def _truncated(folder: Path) -> None:
    good = folder / "EURUSD.parquet"
    _frame(FX_OPENS, 1.5, 5, 0).to_parquet(good)
    (folder / "GBPUSD.parquet").write_bytes(good.read_bytes()[:2000])


def _without_close(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).drop(columns="close").to_parquet(folder / "EURUSD.parquet")


def _negative(folder: Path) -> None:
    frame = _frame(FX_OPENS, 1.5, 5, 0)
    frame.loc[7, "low"] = -1.0
    frame.to_parquet(folder / "EURUSD.parquet")


def _lower_case(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).to_parquet(folder / "eurusd.parquet")


def _mixed(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).to_parquet(folder / "EURUSD.parquet")
    _frame(FX_OPENS, 1.5, 5, 0).to_csv(folder / "GBPUSD.csv")


def _odd_stamps(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).assign(ts="yesterday").to_csv(folder / "EURUSD.csv", index=False)


def _one_symbol(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).to_parquet(folder / "EURUSD.parquet")


def _odd_step(folder: Path) -> None:
    _frame(ALL_HOURS[::3], 1.5, 5, 0).to_parquet(folder / "EURUSD.parquet")


def _utf16(folder: Path) -> None:
    _frame(FX_OPENS, 1.5, 5, 0).to_csv(folder / "EURUSD.csv", index=False, encoding="utf-16")


def _three_bars(folder: Path) -> None:
    _frame(FX_OPENS[:3], 1.5, 5, 0).to_parquet(folder / "EURUSD.parquet")


def _five_days(folder: Path) -> None:
    _frame(FX_OPENS[22:140], 1.5, 5, 0).to_parquet(folder / "EURUSD.parquet")


@pytest.mark.parametrize(
    ("prepare", "code", "where"),
    [
        (_truncated, "DATA_FILE_UNREADABLE", "GBPUSD.parquet"),
        (_without_close, "DATA_DISCOVERY_COLUMNS", "EURUSD.parquet"),
        (_negative, "DATA_SCHEMA_NOT_POSITIVE", "row 7"),
        (_lower_case, "DATA_DISCOVERY_NAME", "bars"),
        (_mixed, "DATA_DISCOVERY_FOLDER", "bars"),
        (_odd_stamps, "DATA_DISCOVERY_STAMPS", "EURUSD.csv"),
        (_one_symbol, "DATA_DISCOVERY_PAIRS", "bars"),
        (_odd_step, "DATA_DISCOVERY_TIMEFRAME", "EURUSD.parquet"),
        (_utf16, "DATA_FILE_UNREADABLE", "EURUSD.csv"),
        (_three_bars, "DATA_DISCOVERY_SHORT", "EURUSD.parquet"),
        (_five_days, "DATA_DISCOVERY_SHORT", "EURUSD.parquet"),
        (lambda _: None, "DATA_DISCOVERY_FOLDER", "bars"),
        (lambda folder: folder.rmdir(), "DATA_DISCOVERY_FOLDER", "bars"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    folder: Path, tmp_path: Path, prepare: Callable[[Path], None], code: str, where: str
) -> None:
    prepare(folder)
    result, line = _run("--data", folder, "--out", tmp_path / "config")
    assert (result.exit_code, line["status"], line["error"]["code"]) == (20, "failed", code)
    assert where in line["error"]["where"]
    assert {path.name for path in tmp_path.iterdir()} <= {"bars"}


def test_an_unknown_time_frame_is_refused(folder: Path, tmp_path: Path) -> None:
    result, line = _run("--data", folder, "--out", tmp_path / "config", "--timeframe", "2h")
    assert (result.exit_code, line["error"]["code"]) == (20, "CONFIG_INIT_TIMEFRAME")
