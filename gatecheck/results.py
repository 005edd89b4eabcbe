"""Results of finished markets, kept so that a run that is taken up again does not repeat them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from core.config.settings import Settings
from core.errors import InputError
from core.stores.code_version import code_hash
from core.stores.files import read_json, sha256_json, write_bytes, write_json
from gatecheck.plan import Group, Market
from tasks.context import REPOSITORY

Outcome = Literal["approved", "rejected", "blocked", "failed"]


@dataclass(frozen=True)
class Result:
    """How one market ended.

    Attributes:
        key: hash of the code and of the whole configuration the chain ran with.
        name, group, kind, half_life_bars, seed: the market.
        outcome: the verdict's status; `blocked` where the chain gives no verdict; `failed` where it did not get there.
        reasons: the verdict's own, or the error.
        sharpe, max_drawdown, trades_per_year, psr, theta1, theta2: of the verdict; None without one.
        seconds: by stage of the chain.
    """

    key: str
    name: str
    group: Group
    kind: str
    half_life_bars: float
    seed: int
    outcome: Outcome
    reasons: tuple[str, ...]
    sharpe: float | None
    max_drawdown: float | None
    trades_per_year: float | None
    psr: float | None
    theta1: float | None
    theta2: float | None
    seconds: dict[str, float]


JUDGED: Final = ("sharpe", "max_drawdown", "trades_per_year", "psr", "theta1", "theta2")


def result_key(settings: Settings) -> str:
    """Hash of what a market's result depends on: the code, this room's too, and its whole configuration."""
    own = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    return sha256_json([code_hash(REPOSITORY), own, settings.model_dump(mode="json")])


class ResultStore:
    """A JSON file a market below `folder`, and all of them as CSV and JSON tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def finished(self, market: Market, key: str) -> Result | None:
        """The market's result with this code and configuration; None where there is none or its chain failed."""
        path = self._path(market.name)
        try:
            content = read_json(path)
        except InputError:
            return None
        if content["key"] != key or content["outcome"] == "failed":
            return None
        return Result(**{**content, "reasons": tuple(content["reasons"])})

    def keep(self, result: Result) -> None:
        write_json(self._path(result.name), asdict(result))

    def write_tables(self, results: Sequence[Result]) -> list[Path]:
        """results.csv and results.json beside the folder; returns them."""
        rows = [asdict(result) for result in results]
        flat = [{**row, "reasons": "; ".join(row["reasons"]), "seconds": sum(row["seconds"].values())} for row in rows]
        sheet = io.StringIO()
        writer = csv.DictWriter(sheet, [field for field in flat[0] if field != "key"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(flat)
        tables = [self._folder.parent / "results.csv", self._folder.parent / "results.json"]
        write_bytes(tables[0], sheet.getvalue().encode())
        write_json(tables[1], rows)
        return tables

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
