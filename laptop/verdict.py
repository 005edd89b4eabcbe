"""How a chain ended, in one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import CoreError
from core.stores.run_folder import RunFolder
from laptop.chain import BLOCKED, Chain, ChainState

STOPPED: Final = 130
"""As a shell reports a program that SIGINT ended."""
_SIGNALS_AND_SHELLS: Final = 127


@dataclass(frozen=True)
class Closing:
    """The last line of a run. Ratios are shares; `run_dir` is absolute; None where the chain did not get that far."""

    model_version: str | None
    status: Literal["deployed", "rejected", "blocked", "failed"]
    reasons: Sequence[str]
    sharpe: float | None
    max_drawdown: float | None
    trades_per_year: float | None
    n_pairs: int | None
    n_bars: int | None
    run_dir: str | None

    def line(self) -> str:
        """One line of JSON; no NaN can stand in it."""
        return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False)


@dataclass(frozen=True)
class Ending:
    """A run's closing object, its exit code, and what a person wants to see of it."""

    closing: Closing
    exit_code: int
    verdict: dict[str, Any] | None
    signal: dict[str, Any] | None


def nothing_ran(error: CoreError) -> Ending:
    """The ending of a run whose stack failed."""
    return _without_result(str(error), error.exit_code)


def stopped() -> Ending:
    """The ending of a run that a person stopped before its verdict."""
    return _without_result("stopped before the verdict", STOPPED)


def _without_result(reason: str, exit_code: int) -> Ending:
    return Ending(Closing(None, "failed", [reason], None, None, None, None, None, None), exit_code, None, None)


def read_ending(chain: Chain, state: ChainState, runs: Path, log_tail: str) -> Ending:
    """Gather what the chain's tasks left behind.

    Args:
        chain: the chain that ended.
        state: its last state.
        runs: absolute folder of the runs.
        log_tail: the end of the failed task's log, shown where the task left no error of its own.
    """
    catalog = (chain.pushed("core_retrain_flow", "catalog") or {}).get("outputs", {})
    folder = RunFolder(runs / catalog["run_id"]) if "run_id" in catalog else None
    closing = Closing(
        model_version=catalog.get("model_version"),
        status="failed",
        reasons=[],
        sharpe=None,
        max_drawdown=None,
        trades_per_year=None,
        n_pairs=catalog.get("n_pairs"),
        n_bars=catalog.get("n_bars"),
        run_dir=str(folder.path) if folder else None,
    )
    if state.outcome in {"failed", "blocked"}:
        return _failed(chain, state, closing, log_tail)
    if folder is None:
        raise RuntimeError("the chain finished without a run")
    verdict = json.loads(folder.verdict.read_text(encoding="utf-8"))
    published = json.loads(folder.publish_result.read_text(encoding="utf-8"))
    closing = replace(
        closing,
        status="deployed" if published["status"] == "deployed" else "rejected",
        reasons=published["reasons"],
        sharpe=verdict["sharpe"],
        max_drawdown=verdict["max_drawdown"],
        trades_per_year=verdict["trades_per_year"],
        n_pairs=verdict["n_pairs"],
        n_bars=verdict["n_bars"],
    )
    signal = json.loads(folder.signal.read_text(encoding="utf-8")) if folder.signal.exists() else None
    return Ending(closing, 0, verdict, signal if closing.status == "deployed" else None)


def _failed(chain: Chain, state: ChainState, closing: Closing, log_tail: str) -> Ending:
    step = state.ending_step()
    if step is None:
        return Ending(replace(closing, reasons=["a flow was ended from outside"]), 1, None, None)
    failure = chain.pushed(step.flow, step.task, "failure", step.part)
    if failure is None:
        text = f"the task {step.task} of {step.flow} failed without a word of its own\n{log_tail}".strip()
        return Ending(replace(closing, reasons=[text]), 1, None, None)
    code = int(failure["exit_code"])
    closing = replace(closing, reasons=[failure["text"]])
    if code == BLOCKED:
        return Ending(replace(closing, status="blocked"), 0, None, None)
    return Ending(closing, code if 0 < code <= _SIGNALS_AND_SHELLS else 1, None, None)
