"""A small universe, its vendor's folder of Parquet files, and a task context over both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from core.config.environment_variables import EnvironmentVariables
from core.config.settings import Settings
from core.market.bars import raw_bars
from core.market.calendar import expected_opens
from core.stores.lake import Lake
from core.stores.roots import StorageRoots
from core.telemetry.progress import LoggedProgress
from tasks.context import TaskContext
from tests.unit.market.examples import CONFIGS, HOUR, at
from tests.unit.market.examples import settings as load

SYMBOLS = ("AUDUSD", "GBPUSD")
START, END = at("2023-11-20T00:00"), at("2024-03-15T12:00")


def settings(**thresholds: Any) -> Settings:
    """The base configuration with two symbols, one pair and a short history; thresholds as given."""
    base = load("prod")
    universe = base.universe.model_copy(
        update={
            "symbols": {name: base.universe.symbols[name] for name in SYMBOLS},
            "pairs": tuple(pair for pair in base.universe.pairs if {pair.a, pair.b} == set(SYMBOLS)),
        }
    )
    pipeline = base.pipeline_policy
    limits = pipeline.dq_thresholds.model_copy(update={"min_history_bars": 1000} | thresholds)
    pipeline = pipeline.model_copy(update={"dq_thresholds": limits, "history_lookback_months": 4})
    return base.model_copy(update={"universe": universe, "pipeline_policy": pipeline})


@dataclass(frozen=True)
class World:
    """A folder with everything: `bars` is the vendor's, `archive` the product's."""

    folder: Path
    settings: Settings

    @property
    def bars(self) -> Path:
        return self.folder / "bars"

    @property
    def lake(self) -> Lake:
        return Lake(self.context().roots.canonical)

    def context(self, postgres_url: str = "postgresql://nobody@localhost:1/none") -> TaskContext:
        archive = self.folder / "archive"
        log = structlog.get_logger()
        return TaskContext(
            settings=self.settings,
            variables=EnvironmentVariables("dev", "ERROR", postgres_url, "", {"ARCHIVE_PATH": str(archive)}),
            roots=StorageRoots.below(archive, self.settings.ml_core_storage),
            log=log,
            progress=LoggedProgress(log),
            trace_id="test",
            config_root=CONFIGS,
        )

    def write(self, symbol: str, frame: pd.DataFrame) -> Path:
        """Put a symbol's raw bars into the vendor's folder."""
        self.bars.mkdir(parents=True, exist_ok=True)
        path = self.bars / f"{symbol}.parquet"
        frame.to_parquet(path)
        return path

    def write_all(self, end: int = END) -> None:
        for symbol in SYMBOLS:
            self.write(symbol, self.raw(symbol, end=end))

    def raw(self, symbol: str, start: int = START, end: int = END) -> pd.DataFrame:
        """Complete bars of a random walk; a longer period begins with the same bars."""
        base = self.settings.universe
        opens = expected_opens(base.calendars[base.symbols[symbol].calendar], HOUR, start, end)
        return raw_bars(opens, _candles(opens.size, SYMBOLS.index(symbol)), np.full(opens.size, 7.0))


def _candles(n: int, seed: int) -> NDArray[np.float64]:
    steps = np.random.default_rng(seed).normal(0.0, 0.001, 10_000)[:n]
    close = np.exp(np.cumsum(steps))
    opens = np.concatenate((close[:1], close[:-1]))
    return np.column_stack((opens, np.maximum(opens, close), np.minimum(opens, close), close))


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, without the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
