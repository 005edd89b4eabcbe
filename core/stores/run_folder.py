"""A run's folder and its identity: the hash of data, code, configuration and seed."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.models.leakage.certificate import FILE_NAME
from core.stores.files import read_json, sha256_json, write_json


@dataclass(frozen=True)
class PreviousModel:
    """What was deployed when the run was first identified."""

    model_version: str
    theta1: float
    theta2: float


@dataclass(frozen=True)
class RunIdentity:
    """Who a run is. The same data, code, configuration and seed are the same run (SPEC TRN-3, TRN-4)."""

    run_id: str
    model_version: str
    as_of: str
    timeframe: str
    data_hash: str
    code_hash: str
    config_hash: str
    seed: int
    previous: PreviousModel | None

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> RunIdentity:
        """From what run.json holds."""
        previous = content.pop("previous")
        return cls(**content, previous=PreviousModel(**previous) if previous else None)


def model_version(as_of: datetime.datetime, data_hash: str, code_hash: str, config_hash: str, seed: int) -> str:
    """`yyyyMMdd_HHmm_<short_sha>`: the minute (UTC) the data ends and eight digits of the identity's SHA-256."""
    short_sha = sha256_json([data_hash, code_hash, config_hash, seed])[:8]
    return f"{as_of.astimezone(datetime.UTC):%Y%m%d_%H%M}_{short_sha}"


@dataclass(frozen=True)
class RunFolder:
    """Paths of `runs_root/{run_id}/`. Each task writes its own subfolder and no other."""

    path: Path

    @property
    def identity(self) -> Path:
        return self.path / "run.json"

    @property
    def configuration(self) -> Path:
        return self.path / "config.json"

    @property
    def given(self) -> dict[str, Path]:
        """What the run did not work out itself: the tasks after catalog start from it. By name in a bundle."""
        from_catalog = (self.identity, self.configuration, self.dataset_index, self.dataset_index_filtered)
        return {path.name: path for path in (*from_catalog, self.earlier_verdicts)}

    @property
    def catalog(self) -> Path:
        return self.path / "catalog"

    @property
    def dataset_index(self) -> Path:
        return self.catalog / "dataset_index.parquet"

    @property
    def dataset_index_filtered(self) -> Path:
        return self.catalog / "dataset_index_filtered.json"

    def gate(self, name: str) -> Path:
        return self.path / "gates" / name

    @property
    def preprocess_report(self) -> Path:
        return self.path / "features" / "preprocess_report.json"

    @property
    def extreme_rows(self) -> Path:
        return self.path / "features" / "extreme_rows.parquet"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def training_certificate(self) -> Path:
        return self.model / FILE_NAME

    @property
    def oos_predictions(self) -> Path:
        return self.path / "train" / "oos_predictions.parquet"

    @property
    def training_parts(self) -> Path:
        return self.path / "train" / "parts"

    @property
    def metrics(self) -> Path:
        return self.path / "train" / "metrics.json"

    @property
    def backtest(self) -> Path:
        return self.path / "backtest"

    @property
    def candidates(self) -> Path:
        return self.backtest / "candidates.parquet"

    @property
    def theta(self) -> Path:
        return self.path / "theta"

    @property
    def theta_certificate(self) -> Path:
        return self.theta / FILE_NAME

    @property
    def earlier_verdicts(self) -> Path:
        return self.theta / "earlier_verdicts.json"

    @property
    def verdict(self) -> Path:
        return self.theta / "verdict.json"

    @property
    def report_page(self) -> Path:
        return self.path / "report" / "report.html"

    @property
    def report_pdf(self) -> Path:
        return self.path / "report" / "report.pdf"

    @property
    def publish_result(self) -> Path:
        return self.path / "publish" / "result.json"

    @property
    def signal(self) -> Path:
        return self.path / "signal.json"

    def write_identity(self, identity: RunIdentity) -> None:
        """Record the run's identity (run.json)."""
        write_json(self.identity, asdict(identity))

    def read_identity(self) -> RunIdentity:
        """Read run.json. Raises InputError where the run is unknown."""
        return RunIdentity.from_content(read_json(self.identity))
