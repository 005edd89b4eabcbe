"""What the backtest task hands to the θ task: runs_root/{run_id}/backtest/."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.backtest.candidates import Candidates
from core.backtest.candidates_table import from_table, to_table
from core.backtest.daily_marks import DailyMarks
from core.backtest.frames import Provenance
from core.config.settings import Settings
from core.errors import InputError
from core.features.schema import FeatureSchema
from core.stores.files import read_json, write_bytes, write_json
from core.stores.partition import parquet_bytes
from core.stores.run_folder import PreviousModel, RunFolder, RunIdentity

_RECORD: Final = "replay.json"
_DEPLOYED: Final = "deployed_candidates.parquet"


@dataclass(frozen=True)
class StartCounts:
    """Predicted starts, those that can be a position, and how many of the rest fall to each cause."""

    n_starts: int
    n_candidates: int
    untradable: dict[str, int]


@dataclass(frozen=True)
class ReplayRecord:
    """Windows (epoch seconds UTC) and counts of a replay.

    `adoption_days` are the weekdays of the adoption window with a usable bar.

    `deployed_until` is the close of the newest bar the deployed model has an out-of-sample prediction for, None when
    there is nothing to compare with; `deployed_note` then says why.
    """

    theta_start: int
    adoption_start: int
    adoption_end: int
    adoption_days: int
    n_pairs: int
    n_bars: int
    feature_schema_hash: str
    deployed_from: int | None
    deployed_until: int | None
    deployed_note: str
    starts: StartCounts


def require_version(run: RunFolder, model_version: str) -> RunIdentity:
    """The run's identity. Raises InputError when the run is unknown or makes another version."""
    identity = run.read_identity()
    if identity.model_version != model_version:
        raise InputError(
            "RUN_INPUT_VERSION",
            f"the run makes {identity.model_version}, not {model_version}",
            where=str(run.identity),
            remedy="give the run id and the model version the catalog task printed",
        )
    return identity


def previous_theta(settings: Settings, previous: PreviousModel | None) -> tuple[float, float]:
    """θ of the deployed model, the initial one where none is deployed."""
    if previous is None:
        return settings.core_policy.theta1_initial, settings.core_policy.theta2_initial
    return previous.theta1, previous.theta2


def provenance_of(identity: RunIdentity, feature_schema_hash: str) -> Provenance:
    """The columns every bt_ table carries."""
    return Provenance(
        model_version=identity.model_version,
        feature_schema_hash=feature_schema_hash,
        code_hash=identity.code_hash,
        data_hash=identity.data_hash,
        seed=identity.seed,
    )


def write_candidates(run: RunFolder, candidates: Candidates, marks: DailyMarks) -> None:
    """Write candidates.parquet."""
    write_bytes(run.candidates, parquet_bytes(to_table(candidates, marks)))


def read_candidates(run: RunFolder) -> tuple[Candidates, DailyMarks]:
    """Read candidates.parquet. Raises InputError when it is absent or not of its form."""
    return from_table(read_parquet(run.candidates), str(run.candidates))


def write_deployed(run: RunFolder, candidates: Candidates, marks: DailyMarks) -> None:
    """Write the candidates of the deployed model's predictions."""
    write_bytes(run.backtest / _DEPLOYED, parquet_bytes(to_table(candidates, marks)))


def read_deployed(run: RunFolder) -> tuple[Candidates, DailyMarks]:
    """Read what `write_deployed` wrote."""
    path = run.backtest / _DEPLOYED
    return from_table(read_parquet(path), str(path))


def write_record(run: RunFolder, record: ReplayRecord) -> None:
    """Write the record; it comes last, so that a record means the replay is whole."""
    write_json(run.backtest / _RECORD, asdict(record))


def read_record(run: RunFolder) -> ReplayRecord:
    """Read the record. Raises InputError when backtest has not finished."""
    content = read_json(run.backtest / _RECORD)
    return ReplayRecord(**{**content, "starts": StartCounts(**content["starts"])})


def read_schema_hash(run: RunFolder) -> str:
    """Hash of the run's feature schema. Raises InputError when train has not written it, or it is unreadable."""
    path = run.model / "feature_schema.json"
    if not path.is_file():
        raise InputError(
            "RUN_FILE_UNREADABLE", f"{path.name} is not there", where=str(path), remedy="run train of this run first"
        )
    return FeatureSchema.from_json(path.read_bytes()).schema_hash


def read_parquet(path: Path) -> pa.Table:
    """Read a table of the run. Raises InputError when it is absent or unreadable."""
    try:
        return pq.ParquetFile(path).read(use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            "RUN_FILE_UNREADABLE",
            f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}",
            where=str(path),
            remedy="run the task that writes it again",
        ) from error


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as Parquet, whole or not at all."""
    write_bytes(path, parquet_bytes(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)))
