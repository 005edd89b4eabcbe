"""The deployed model's stored predictions, replayed on the bars of the run that may replace it (SPEC BT-4)."""

from __future__ import annotations

import io
import json
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.backtest.replay import COLUMNS, Market, known_starts, replay
from core.errors import BlockedError
from core.market.bars import epoch_seconds
from core.market.timeframe import timeframe_seconds
from core.models.windows import Windows
from core.stores.bundle_store import Bundle, open_bundle
from core.stores.run_folder import PreviousModel, RunFolder
from core.stores.signing import SigningKeys
from tasks.context import TaskContext
from tasks.replay_record import write_deployed

_PREDICTIONS: Final = "oos_predictions.parquet"


def replay_deployed(
    context: TaskContext,
    run: RunFolder,
    market: Market,
    previous: PreviousModel | None,
    windows: Windows,
    *,
    schema_hash: str,
) -> tuple[tuple[int, int] | None, str]:
    """Write the deployed model's candidates.

    Predictions of other bars than the market's are left out; the bundle is verified before anything of it is read. A
    deployed model of another feature schema than `schema_hash` is compared all the same: its predictions are stored.

    Returns:
        The span (epoch seconds UTC) its predictions share with the adoption window, None where there is nothing to
        compare with; and that in words.

    Raises:
        InputError: the deployed bundle does not verify.
        BlockedError: ADOPTION_DEPLOYED_UNREADABLE when its stored predictions are not those of a model.
    """
    if previous is None:
        return None, "no model is deployed, so there is none to compare with"
    settings = context.settings
    keys = SigningKeys.below(context.roots.archive, settings.environment.signing)
    bundle = open_bundle(context.bundle(previous.model_version), keys.public_key)
    stored = _stored_predictions(bundle)
    other = "" if _schema_hash(bundle) == schema_hash else ", a model of another feature schema,"
    shared = known_starts(stored, market)
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    inside = shared[epoch_seconds(shared["ts"]) >= windows.adoption_start]
    if inside.empty:
        return (
            None,
            f"the deployed {previous.model_version}{other} has no out-of-sample prediction in the adoption window",
        )
    first = max(windows.adoption_start, int(epoch_seconds(stored["ts"]).min()))
    until = int(epoch_seconds(inside["ts"]).max()) + seconds
    days = (until - first) / 86_400
    needed = settings.backtest_policy.adoption.comparison_days_min
    if days < needed:
        return None, (
            f"not compared with the deployed {previous.model_version}{other}: its out-of-sample predictions cover"
            f" {days:.0f} days of the adoption window, {needed} are needed"
        )
    candidates, marks = replay(shared, market, settings.core_policy, settings.backtest_policy)
    write_deployed(run, candidates, marks)
    return (first, until), f"compared with the deployed {previous.model_version}{other} over {days:.0f} days"


def _stored_predictions(bundle: Bundle) -> pd.DataFrame:
    try:
        stored: pd.DataFrame = pq.read_table(io.BytesIO(bundle.read(_PREDICTIONS))).to_pandas()
    except pa.ArrowInvalid as error:
        raise _unreadable(bundle, f"no Parquet table: {' '.join(str(error).split())[:200]}") from error
    absent = [name for name in COLUMNS if name not in stored.columns]
    if absent:
        raise _unreadable(bundle, f"no column {', '.join(absent)}")
    return stored


def _schema_hash(bundle: Bundle) -> object:
    """The hash its feature schema states, whatever its format; None where it states none."""
    try:
        schema = json.loads(bundle.read("feature_schema.json"))
    except ValueError:
        return None
    return schema.get("schema_hash") if isinstance(schema, dict) else None


def _unreadable(bundle: Bundle, found: str) -> BlockedError:
    return BlockedError(
        "ADOPTION_DEPLOYED_UNREADABLE",
        f"the deployed {bundle.model_version} cannot be compared with, its stored predictions have {found}",
        where=f"{bundle.folder}/{_PREDICTIONS}",
        remedy="deploy a version whose predictions this code reads, then run the chain again",
    )
