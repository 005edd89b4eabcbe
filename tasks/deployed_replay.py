"""The deployed model's stored predictions, replayed on the bars of the run that may replace it (SPEC BT-4)."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow.parquet as pq

from core.backtest.replay import Market, known_starts, replay
from core.market.bars import epoch_seconds
from core.market.timeframe import timeframe_seconds
from core.models.windows import Windows
from core.stores.bundle_store import open_bundle
from core.stores.run_folder import PreviousModel, RunFolder
from core.stores.signing import SigningKeys
from tasks.context import TaskContext
from tasks.replay_record import write_deployed


def replay_deployed(
    context: TaskContext, run: RunFolder, market: Market, previous: PreviousModel | None, windows: Windows
) -> tuple[tuple[int, int] | None, str]:
    """Write the deployed model's candidates.

    Predictions of other bars than the market's are left out; the bundle is verified before anything of it is read.

    Returns:
        The span (epoch seconds UTC) its predictions share with the adoption window, None where there is nothing to
        compare with; and that in words.

    Raises:
        InputError: the deployed bundle does not verify.
    """
    if previous is None:
        return None, "no model is deployed, so there is none to compare with"
    settings = context.settings
    keys = SigningKeys.below(context.roots.archive, settings.environment.signing)
    bundle = open_bundle(context.roots.models / previous.model_version, keys.public_key)
    stored: pd.DataFrame = pq.read_table(io.BytesIO(bundle.read("oos_predictions.parquet"))).to_pandas()
    shared = known_starts(stored, market)
    seconds = timeframe_seconds(settings.pipeline_policy.timeframe_default)
    inside = shared[epoch_seconds(shared["ts"]) >= windows.adoption_start]
    if inside.empty:
        return None, f"the deployed {previous.model_version} has no out-of-sample prediction in the adoption window"
    first = max(windows.adoption_start, int(epoch_seconds(stored["ts"]).min()))
    until = int(epoch_seconds(inside["ts"]).max()) + seconds
    days = (until - first) / 86_400
    needed = settings.backtest_policy.adoption.comparison_days_min
    if days < needed:
        return None, (
            f"not compared with the deployed {previous.model_version}: its out-of-sample predictions cover"
            f" {days:.0f} days of the adoption window, {needed} are needed"
        )
    candidates, marks = replay(shared, market, settings.core_policy, settings.backtest_policy)
    write_deployed(run, candidates, marks)
    return (first, until), f"compared with the deployed {previous.model_version} over {days:.0f} days"
