"""The verdict part of the θ task: the comparison with the deployed model, the limits, verdict.json (SPEC BT-4)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from core.backtest.adoption import Comparison, Evidence, NotCompared, judge
from core.backtest.engine import Window
from core.backtest.frames import Run
from core.backtest.money_curve import money_curve
from core.backtest.significance.earlier_verdicts import EarlierVerdict
from core.backtest.significance.paired_difference import paired_difference
from core.stores.run_folder import RunFolder, RunIdentity
from core.thresholds.stabiliser import ChosenTheta
from tasks.book import Book
from tasks.replay_record import ReplayRecord, read_deployed

_JUDGED: Final = ("sharpe", "max_drawdown", "trades_per_year", "annual_return", "n_trades")


def verdict_content(
    book: Book,
    run: RunFolder,
    identity: RunIdentity,
    record: ReplayRecord,
    chosen: ChosenTheta,
    adoption: Run,
    everything: Run,
    evidence: Evidence,
    earlier: tuple[EarlierVerdict, ...],
) -> dict[str, Any]:
    """Judge the run and return the content of verdict.json.

    Args:
        book: the candidates at the chosen θ.
        run, identity, record: the run that is judged.
        chosen: the θ in force and why.
        adoption, everything: the backtests of the adoption window and of all out-of-sample months.
        evidence: the numbers that allow for the tries behind the result.
        earlier: the verdicts among those tries.

    Raises:
        BlockedError: a number the verdict needs is missing.
    """
    comparison = _compare(book, run, identity, record)
    limits = book.settings.backtest_policy.adoption
    verdict = judge(adoption.summary, everything.summary.psr, comparison, evidence, limits, everything.summary.n_days)
    return {
        "model_version": identity.model_version,
        "status": verdict.status,
        "retrain_status": verdict.retrain_status,
        "reasons": list(verdict.reasons),
        "theta1": chosen.theta1,
        "theta2": chosen.theta2,
        "theta_status": chosen.status,
        "theta_reason": chosen.reason,
        **{name: getattr(adoption.summary, name) for name in _JUDGED},
        "psr": everything.summary.psr,
        "dsr": evidence.adoption.probability,
        "dsr_search": evidence.search.probability,
        "pbo": evidence.overfitting.probability,
        "evidence": asdict(evidence),
        "earlier_verdicts": [verdict.model_version for verdict in earlier],
        "n_pairs": record.n_pairs,
        "n_bars": record.n_bars,
        "starts": asdict(record.starts),
        "limits": limits.model_dump(),
        "window": {"start": _iso(record.adoption_start), "end": _iso(record.adoption_end)},
        "all_out_of_sample": asdict(everything.summary),
        "previous": asdict(identity.previous) if identity.previous else None,
        "comparison": asdict(comparison),
        "money_curve": money_curve(book.candidates),
    }


def _compare(book: Book, run: RunFolder, identity: RunIdentity, record: ReplayRecord) -> Comparison | NotCompared:
    """Both models over the span both have predicted out of sample, each at its own θ."""
    previous = identity.previous
    if previous is None or record.deployed_from is None or record.deployed_until is None:
        return NotCompared(record.deployed_note, previous.model_version if previous else None)
    window = Window(record.deployed_from, record.deployed_until)
    deployed = Book(book.settings, *read_deployed(run), previous.theta1, previous.theta2)
    old, new = deployed.trade("deployed", window), book.trade("compared", window)
    policy = book.settings.backtest_policy
    shared = np.intersect1d(old.result.mark_ts, new.result.mark_ts, return_indices=True)
    return Comparison(
        deployed_version=previous.model_version,
        deployed=old.summary,
        challenger=new.summary,
        paired=paired_difference(
            new.result.daily_returns[shared[2]],
            old.result.daily_returns[shared[1]],
            policy.adoption.paired,
            policy.daily_mark.days_per_year,
            identity.seed,
        ),
        span=f"{_day(window.start)} to {_day(window.end)}",
        note=record.deployed_note,
    )


def _iso(seconds: int) -> str:
    return pd.Timestamp(seconds, unit="s", tz="UTC").isoformat()


def _day(seconds: int) -> str:
    return f"{pd.Timestamp(seconds, unit='s', tz='UTC'):%Y-%m-%d}"
