"""Judged runs on disk, small and drawn by a seed, as train, backtest and theta leave them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.backtest.metrics import max_drawdown
from core.config.environment_variables import EnvironmentVariables
from core.config.loader import load_settings
from core.config.settings import Settings
from core.models.leakage.certificate import Check, certify, conclude
from core.stores.files import write_bytes, write_json
from core.stores.roots import StorageRoots
from core.stores.run_folder import RunFolder, RunIdentity
from core.telemetry.logs import configure_logs
from core.telemetry.progress import LoggedProgress
from tasks.context import TaskContext
from tasks.replay_record import ReplayRecord, StartCounts, write_frame, write_record
from tests.fixtures.config_tree import CONFIGS

VERSION = "20240601_0000_0a1b2c3d"
SEARCH, ADOPTION, END = (pd.Timestamp(day, tz="UTC") for day in ("2022-06-01", "2023-06-01", "2024-06-01"))
LOT_USD = 100_000.0
COMPARED = (
    "label windows of the rows each fold was fitted on, widened by purge and embargo, with those it was scored on"
)


def context_of(archive: Path) -> TaskContext:
    settings = load_settings(CONFIGS, "dev")
    log = configure_logs("WARNING", task="report", trace_id="test")
    nowhere = ("postgresql://localhost/none", "redis://localhost:1/0")
    return TaskContext(
        settings=settings,
        variables=EnvironmentVariables("dev", "WARNING", *nowhere, {"ARCHIVE_PATH": str(archive)}),
        roots=StorageRoots.below(archive, settings.ml_core_storage),
        log=log,
        progress=LoggedProgress(log),
        trace_id="test",
        config_root=CONFIGS,
    )


def write_run(
    context: TaskContext, *, n_trades: int = 90, n_starts: int = 600, stress: bool = False, surface: bool = False
) -> RunFolder:
    """A run whose adoption window holds `n_trades` trades of `n_starts` out-of-sample starts."""
    run, settings = context.run(VERSION), context.settings
    run.write_identity(
        RunIdentity(VERSION, VERSION, "2024-06-01T00:00:00Z", "1h", "da7a" * 16, "c0de" * 10, "c0f1" * 16, 7, None)
    )
    search, start, end = (int(each.timestamp()) for each in (SEARCH, ADOPTION, END))
    starts = StartCounts(n_starts + 20, n_starts, {"outside_hours": 20})
    judged = ReplayRecord(search, start, end, 261, 3, 40_000, "f" * 64, None, None, "no model is deployed", starts)
    write_record(run, judged)
    candidates = _candidates(settings, n_starts)
    write_frame(run.candidates, candidates)
    write_frame(run.oos_predictions, _predictions(candidates))
    adoption = candidates[candidates["decided"] >= start].head(n_trades)
    assert len(adoption) == n_trades
    trades = pd.concat([_trades(adoption, "adoption"), _trades(adoption, "all_out_of_sample")], ignore_index=True)
    write_frame(run.theta / "bt_trades.parquet", trades)
    equity = _equity(trades[trades["scope"] == "adoption"])
    write_frame(run.theta / "bt_daily_equity.parquet", equity)
    write_frame(run.theta / "bt_summary.parquet", _summary(n_trades, equity))
    write_frame(run.theta / "trials.parquet", _trials(40 if n_starts else 1))
    write_json(run.theta / "theta.json", _theta(n_starts))
    write_json(run.verdict, {**_verdict(n_trades, stress=stress), "starts": asdict(starts)})
    for path, counts in (
        (run.training_certificate, {"windows_final": 1_200, "scalers": 2}),
        (run.theta_certificate, {"theta_window": 1}),
    ):
        write_bytes(path, certify(VERSION, 7, starmap(_passed, counts.items())).to_json())
    write_json(run.metrics, _metrics(candidates))
    _write_data(run, settings)
    if stress:
        write_frame(run.theta / "bt_stress_results.parquet", _stress())
    if surface:
        write_frame(run.theta / "theta_surface.parquet", _surface())
    return run


def _candidates(settings: Settings, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    hours = np.linspace(SEARCH.timestamp(), END.timestamp() - 5 * 86_400, count) // 3600 * 3600
    chance = rng.uniform(0.5, 0.9, count)
    move = 2.0 * rng.normal((chance - 0.6) * 80.0, 60.0)
    return pd.DataFrame(
        {
            "pair_id": [settings.universe.pairs[at % 3].id for at in range(count)],
            "decided": hours.astype(np.int64),
            "return_prob": chance,
            "risk_score": rng.uniform(0.1, 0.6, count),
            "weight_a": 0.5,
            "weight_b": -0.5,
            "lot_usd_a": LOT_USD,
            "lot_usd_b": LOT_USD,
            "move_a": move,
            "move_b": move / 2.0,
            "cost_a": 24.0,
            "cost_b": 24.0,
            "swap_a": 1.5,
            "swap_b": -0.5,
        }
    ).astype({"pair_id": "str"})


def _predictions(candidates: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    chance, risk = candidates["return_prob"].to_numpy(), candidates["risk_score"].to_numpy()
    opens = pd.to_datetime(candidates["decided"] - 3600, unit="s", utc=True).dt.as_unit("us")
    ai1 = (rng.uniform(size=chance.size) < chance).astype(np.float64)
    if ai1.size:
        ai1[-1] = np.nan  # the data cut its window off
    return pd.DataFrame(
        {
            "pair_id": candidates["pair_id"].astype("str"),
            "ts": opens,
            "return_prob": chance,
            "risk_score": risk,
            "ai1": ai1,
            "ai2": (rng.uniform(size=risk.size) < risk).astype(np.float64),
        }
    )


def _trades(taken: pd.DataFrame, scope: str) -> pd.DataFrame:
    lots = 5.0
    entry = pd.to_datetime(taken["decided"], unit="s", utc=True).dt.as_unit("us").reset_index(drop=True)
    taken = taken.reset_index(drop=True)
    sums = {name: lots * (taken[f"{name}_a"] + taken[f"{name}_b"]) for name in ("move", "cost", "swap")}
    return pd.DataFrame(
        {
            "scope": pd.Series([scope] * len(taken), dtype="str"),
            "pair_id": taken["pair_id"].astype("str"),
            "timestamp_decision": entry,
            "timestamp_entry": entry,
            "timestamp_exit": entry + pd.to_timedelta(5 + np.arange(len(taken)) % 40, unit="h"),
            "qty_a": lots,
            "qty_b": -lots,
            "price_entry_a": 1.25,
            "price_entry_b": 0.8,
            "price_exit_a": 1.25,
            "price_exit_b": 0.8,
            "gross_usd": 2 * lots * LOT_USD,
            "move_usd": sums["move"],
            "cost_usd": sums["cost"],
            "swap_usd": sums["swap"],
            "pnl_usd": sums["move"] - sums["cost"] - sums["swap"],
            "z": 2.2,
            "return_prob": taken["return_prob"],
            "risk_score": taken["risk_score"],
            "reason": pd.Series(np.where(np.arange(len(taken)) % 4, "reverted", "horizon"), dtype="str"),
        }
    )


def _equity(trades: pd.DataFrame) -> pd.DataFrame:
    days = pd.date_range(ADOPTION + pd.Timedelta(hours=21), END, freq="B").as_unit("us")
    result = trades.groupby(trades["timestamp_exit"].dt.normalize())["pnl_usd"].sum()
    steps = result.groupby(np.searchsorted(days.to_numpy(), result.index.to_numpy())).sum()
    equity = 1e6 + pd.Series(0.0, index=range(len(days))).add(steps, fill_value=0.0).cumsum().iloc[: len(days)]
    values = equity.to_numpy()
    frame = pd.DataFrame(
        {
            "timestamp": days,
            "equity_usd": values,
            "daily_return": values / np.append(1e6, values[:-1]) - 1.0,
            "drawdown": 1.0 - values / np.maximum.accumulate(np.maximum(values, 1e6)),
        }
    )
    parts = [frame.assign(scope=scope) for scope in ("adoption", "all_out_of_sample")]
    return pd.concat(parts, ignore_index=True)


def _summary(n_trades: int, equity: pd.DataFrame) -> pd.DataFrame:
    drop = max_drawdown(np.append(1e6, equity["equity_usd"].to_numpy()[: len(equity) // 2]))
    rows = [
        {
            "scope": scope,
            "window_start": start.as_unit("us"),
            "window_end": END.as_unit("us"),
            "n_trades": n_trades,
            "sharpe": 1.6 if n_trades else 0.0,
            "max_drawdown": drop,
            "annual_return": 0.08 if n_trades else 0.0,
            "trades_per_year": float(n_trades),
            "psr": 0.97 if n_trades else 0.5,
        }
        for scope, start in (("adoption", ADOPTION), ("all_out_of_sample", SEARCH))
    ]
    return pd.DataFrame(rows)


def _trials(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    value = rng.normal(0.03, 0.03, count)
    return pd.DataFrame(
        {
            "number": np.arange(count),
            "theta1": rng.uniform(0.6, 0.85, count),
            "theta2": rng.uniform(0.2, 0.45, count),
            "value": value,
            "annual_return": value + 0.02,
            "max_drawdown": 0.03,
            "trades_per_year": 180.0,
            "sharpe": value * 30.0,
            "within_limits": value > 0.0,
        }
    )


def _surface() -> pd.DataFrame:
    theta1, theta2 = np.meshgrid(np.linspace(0.6, 0.85, 26), np.linspace(0.2, 0.45, 26), indexing="ij")
    value = 0.06 - 3.0 * (theta1 - 0.7) ** 2 - 2.0 * (theta2 - 0.35) ** 2
    return pd.DataFrame({"theta1": theta1.ravel(), "theta2": theta2.ravel(), "value": value.ravel()})


def _stress() -> pd.DataFrame:
    rows = [("none", 0.0, 1.6), ("cost_increase", 1.5, 0.9), ("cost_increase", 2.0, -0.2), ("latency", 1.0, 1.1)]
    frame = pd.DataFrame(rows, columns=["scenario", "multiple", "sharpe"])
    return frame.assign(max_drawdown=0.05, annual_return=0.02, n_trades=88)


def _theta(n_starts: int) -> dict[str, Any]:
    return {
        "theta1": 0.7,
        "theta2": 0.3,
        "status": "found" if n_starts else "held",
        "reason": "no model is deployed; taken as found" if n_starts else "0 starts on the search window",
        "previous": {"theta1": 0.7, "theta2": 0.3, "value": 0.01},
        "gain": {"gain": 0.02, "low": 0.004, "high": 0.03} if n_starts else None,
        "n_starts": n_starts,
        "n_trials": 40,
    }


def _verdict(n_trades: int, *, stress: bool) -> dict[str, Any]:
    edges = {
        "cost_increase": {"edge": "dies", "edge_multiple": 1.7},
        "latency": {"edge": "survives", "edge_multiple": 32.0},
    }
    approved = n_trades >= 80
    return {
        "model_version": VERSION,
        "status": "approved" if approved else "rejected",
        "reasons": ["Sharpe 1.60 on the adoption window: above 1.20"]
        if approved
        else ["0.0 trades a year <must rise>"],
        "theta1": 0.7,
        "theta2": 0.3,
        "theta_status": "found",
        "theta_reason": "taken as found",
        "sharpe": 1.6 if n_trades else 0.0,
        "max_drawdown": 0.021 if n_trades else 0.0,
        "trades_per_year": float(n_trades),
        "annual_return": 0.08 if n_trades else 0.0,
        "n_trades": n_trades,
        "psr": 0.97 if n_trades else 0.5,
        "n_pairs": 3,
        "n_bars": 40_000,
        "limits": {
            "sharpe_min": 1.2,
            "max_drawdown": 0.12,
            "trades_per_year_min": 80.0,
            "psr_min": 0.95,
            "overfitting": {"blocks": 12},
        },
        "window": {"start": ADOPTION.isoformat(), "end": END.isoformat()},
        "all_out_of_sample": {"n_days": 500},
        "previous": None,
        "comparison": {"reason": "no model is deployed, so there is none to compare with"},
        "deflated_sharpe": None,
        **({"stress": {"scenarios": edges}} if stress else {}),
    }


def _passed(name: str, count: int) -> Check:
    return conclude(name, COMPARED, count, ())


def _metrics(candidates: pd.DataFrame) -> dict[str, Any]:
    bands = [
        {"low": 0.1 * at, "high": 0.1 * (at + 1), "predicted": 0.1 * at + 0.05, "observed": 0.1 * at, "count": 60}
        for at in range(10)
    ]
    shares = {"z": 60.0, "half_life": 40.0, "dz": 0.0}
    return {
        "base_rates": {"ai1": 0.6, "ai2": 0.3},
        "oos": {
            "ai1": {"auc": 0.61, "brier": 0.2, "ece": 0.01},
            "ai2": {"auc": 0.7, "brier": 0.2, "ece": 0.02},
            "ai3": {"coverage": 0.9, "pinball": 0.0002},
        },
        "calibration": {name: bands if len(candidates) else [] for name in ("ai1", "ai2")},
        "feature_importance": {"ai1": shares, "ai2": shares, "ai3": dict.fromkeys(shares, 0.0)},
    }


def _write_data(run: RunFolder, settings: Settings) -> None:
    pairs = settings.universe.pairs[:3]
    numbers = {
        "bars": 13_000,
        "rows": 12_400,
        "segments": 1,
        "excluded": {"rows_with_nan": 600},
        "imputed": {"filled_bars": 9},
        "flagged": {"spike_bars": 2},
    }
    write_json(run.preprocess_report, {"pairs": {pair.id: numbers for pair in pairs}})
    index = pd.DataFrame(
        [
            {
                "symbol": symbol,
                "year": 2024,
                "month": month,
                "bars_written": 500,
                "filled_bars": 3,
            }
            for symbol in (pairs[0].a, pairs[0].b)
            for month in (1, 2, 3)
        ]
    )
    write_frame(run.dataset_index, index.assign(admitted=index["month"] > 1))
    excluded = [
        {"symbol": pairs[0].a, "month": "2024-01", "reason": "filled_share", "observed": 0.09, "threshold": 0.05},
        {"symbol": pairs[0].b, "month": "2024-01", "reason": "outside_window", "observed": None, "threshold": None},
    ]
    write_json(run.dataset_index_filtered, {"admitted": 4, "excluded": excluded})
