"""Which source serves a symbol."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from core.errors import InputError
from core.providers.file_import import FileImport
from core.providers.selection import configured_providers, folder_providers, provider_of
from core.providers.simulated import SimulatedSource
from tests.unit.market import examples

BASE, DEV = examples.settings("prod"), examples.settings("dev")


def _parquet(folder: Path, symbol: str, stamp: str = "ts") -> None:
    columns = [stamp, "open", "high", "low", "close", "volume"]
    pd.DataFrame(columns=columns).to_parquet(folder / f"{symbol}.parquet")


def _csv(folder: Path, symbol: str) -> None:
    (folder / f"{symbol}h1.csv").write_text("Date,open,high,low,close,tick_volume\n")


def test_a_folder_is_read_by_the_layout_its_files_match(tmp_path: Path) -> None:
    _csv(tmp_path, "AUDUSD")
    (provider,) = folder_providers(BASE.sources, tmp_path, ["AUDUSD"])
    assert provider.name == "metatrader-csv"
    _parquet(tmp_path, "AUDUSD")
    (provider,) = folder_providers(BASE.sources, tmp_path, ["AUDUSD"])
    assert provider.name == "parquet"


def test_columns_decide_where_names_do_not(tmp_path: Path) -> None:
    _parquet(tmp_path, "AUDUSD", stamp="time")
    _csv(tmp_path, "AUDUSD")
    (provider,) = folder_providers(BASE.sources, tmp_path, ["AUDUSD"])
    assert provider.name == "metatrader-csv"


def test_a_symbol_the_folder_lacks_is_named(tmp_path: Path) -> None:
    _csv(tmp_path, "AUDUSD")
    with pytest.raises(InputError, match="the folder lacks GBPUSD, USDJPY"):
        folder_providers(BASE.sources, tmp_path, ["AUDUSD", "GBPUSD", "USDJPY"])


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_an_empty_or_absent_folder_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=folder):
        folder_providers(BASE.sources, tmp_path / folder, ["AUDUSD"])


def test_the_highest_priority_that_has_a_symbol_serves_it(tmp_path: Path) -> None:
    for name, write in (("import/bars", _parquet), ("import/metatrader", _csv)):
        (tmp_path / name).mkdir(parents=True)
        write(tmp_path / name, "AUDUSD")
    _csv(tmp_path / "import/metatrader", "GBPJPY")
    providers = configured_providers(BASE.sources, BASE.universe, tmp_path)
    assert [type(provider) for provider in providers] == [FileImport, FileImport]
    assert provider_of("AUDUSD", providers).name == "parquet"
    assert provider_of("GBPJPY", providers).name == "metatrader-csv"
    with pytest.raises(InputError, match="no source has bars of USDJPY"):
        provider_of("USDJPY", providers)


def test_the_simulated_market_serves_its_symbols(tmp_path: Path) -> None:
    providers = configured_providers(DEV.sources, DEV.universe, tmp_path)
    simulated = next(provider for provider in providers if isinstance(provider, SimulatedSource))
    symbol = next(iter(DEV.universe.symbols))
    fetched = simulated.fetch(symbol, "1h")
    assert fetched.fetched_at == fetched.frame["ts"].iloc[-1] + pd.Timedelta(hours=1)
    with pytest.raises(InputError, match="EURXXX"):
        simulated.fetch("EURXXX", "1h")
