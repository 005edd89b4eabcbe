"""Real hourly bars: a vendor's files import to exactly the reference bars, and few months are lost to quality."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from core.config.sources import FileProvider
from core.providers.file_import import FileImport
from core.quality.cleaning import clean_bars
from tests.unit.market.examples import HOUR
from tests.unit.market.examples import settings as load

MARKET_DATA = Path(os.environ.get("MARKET_DATA", Path(__file__).parents[4] / "shared" / "data"))
REFERENCE, VENDOR = MARKET_DATA / "fx_h1", MARKET_DATA / "fx_h1_vendor"
pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="shared/data absent")

SETTINGS = load("prod")


def _provider(name: str, folder: Path) -> FileImport:
    found = next(each for each in SETTINGS.sources.providers if each.name == name)
    assert isinstance(found, FileProvider)
    return FileImport(found, folder)


@pytest.mark.parametrize("symbol", ["AUDUSD", "GBPJPY"])
def test_the_vendors_file_imports_to_exactly_the_reference(symbol: str) -> None:
    vendor = _provider("metatrader-csv", VENDOR).fetch(symbol, "1h").frame
    reference = pd.read_parquet(REFERENCE / f"{symbol}.parquet")
    assert len(vendor) == 57_600
    pd.testing.assert_frame_equal(vendor, reference.astype({"volume": "float64"}), check_exact=True)


def test_years_of_bars_lose_few_months_and_no_change_of_clocks() -> None:
    quarantined: list[str] = []
    for symbol, contract in SETTINGS.universe.symbols.items():
        raw = _provider("parquet", REFERENCE).fetch(symbol, "1h").frame
        calendar = SETTINGS.universe.calendars[contract.calendar]
        clean = clean_bars(raw, calendar, HOUR, SETTINGS.pipeline_policy.dq_thresholds)
        counts = [month.counts for month in clean.months.values()]
        assert 3 <= sum(count.outlier_bars for count in counts) <= 20
        assert sum(count.spike_flags for count in counts) <= 50
        assert sum(count.missing_gaps for count in counts) <= 40
        quarantined += [f"{symbol}/{month}" for month, found in clean.months.items() if found.findings]
    assert len(quarantined) <= 10, quarantined
    assert not [name for name in quarantined if name.split("/")[1] >= "2019-02"], quarantined
