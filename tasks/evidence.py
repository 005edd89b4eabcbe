"""What the verdict needs beside the backtests: the tries behind them, and a whole adoption window (SPEC BT-4)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from core.backtest.adoption import Evidence
from core.backtest.frames import Run
from core.backtest.metrics import sharpe
from core.backtest.significance.deflated_sharpe import deflated_sharpe
from core.backtest.significance.earlier_verdicts import EarlierVerdict
from core.backtest.significance.overfitting import backtest_overfitting
from core.config.settings import Settings
from core.errors import BlockedError
from core.stores.files import write_json
from core.stores.run_folder import RunFolder
from tasks.replay_record import ReplayRecord
from tasks.theta_search import FoundTheta


@contextmanager
def stating_blocked(run: RunFolder, model_version: str) -> Iterator[None]:
    """Leave a verdict.json that says `blocked` and why when the verdict cannot be given, and raise on."""
    try:
        yield
    except BlockedError as error:
        content: dict[str, Any] = {
            "model_version": model_version,
            "status": "blocked",
            "retrain_status": "blocked",
            "reasons": [f"{error.code}: {error.message}"],
        }
        write_json(run.verdict, content)
        raise


def require_observed(record: ReplayRecord, settings: Settings) -> None:
    """Refuse an adoption window whose days are not those of the policy.

    Raises:
        BlockedError: ADOPTION_WINDOW_SHORT when fewer weekdays of the policy's months have a usable bar.
    """
    months = settings.retrain_policy.walk_forward.adoption_window_months
    end = pd.Timestamp(record.adoption_end, unit="s", tz="UTC")
    expected = len(pd.bdate_range(end - pd.DateOffset(months=months), end, inclusive="left"))
    needed = math.ceil(settings.backtest_policy.adoption.observed_days_share_min * expected)
    if record.adoption_days < needed:
        raise BlockedError(
            "ADOPTION_WINDOW_SHORT",
            f"the adoption window holds {record.adoption_days} days with usable bars, the policy's {months} months need"
            f" {needed}",
            where="retrain_policy.yaml walk_forward, backtest_policy.yaml adoption.observed_days_share_min",
            remedy="import the missing bars of the window, or look at the partitions the catalog left out",
        )


def gather_evidence(
    found: FoundTheta, searched: Run, adoption: Run, earlier: tuple[EarlierVerdict, ...], settings: Settings
) -> Evidence:
    """Deflate what the tries have found.

    Trials with the same daily returns are one try. The θ in force counts as the best of all of them unless it was held:
    then nothing was chosen.

    Args:
        found: the θ search.
        searched, adoption: the backtests at the θ in force on the search and the adoption window.
        earlier: verdicts on bars of the adoption window.
        settings: policies.

    Raises:
        BlockedError: ADOPTION_SEARCH_SHORT when the search window has too few days to be split.
    """
    policy = settings.backtest_policy
    year, blocks = policy.daily_mark.days_per_year, policy.adoption.overfitting.blocks
    tried = np.unique(np.column_stack([trial.evaluation.returns for trial in found.outcome.trials]), axis=1)
    if tried.shape[0] < 2 * blocks:
        raise BlockedError(
            "ADOPTION_SEARCH_SHORT",
            f"the θ search window has {tried.shape[0]} days, {blocks} blocks of two need {2 * blocks}",
            where="backtest_policy.yaml adoption.overfitting.blocks",
            remedy="import a longer history, or lower the number of blocks",
        )
    own = searched.result.daily_returns
    ratios = [searched.summary.sharpe]
    if found.chosen.status != "held":
        ratios += [sharpe(column, year) for column in tried.T if not np.array_equal(column, own)]
    verdicts = [adoption.summary.sharpe, *(verdict.sharpe for verdict in earlier)]
    return Evidence(
        search=deflated_sharpe(own, np.array(ratios), year),
        adoption=deflated_sharpe(adoption.result.daily_returns, np.array(verdicts), year),
        overfitting=backtest_overfitting(tried, blocks),
    )
