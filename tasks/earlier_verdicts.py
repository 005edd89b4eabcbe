"""Verdicts the registry holds on bars of a run's adoption window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import pandas as pd

from core.backtest.significance.earlier_verdicts import EarlierVerdict, overlapping
from core.errors import BlockedError
from core.stores.files import read_json, write_json
from core.stores.registry import ModelEntry, Registry
from core.stores.run_folder import RunFolder
from core.stores.tables import ModelStatus
from tasks.context import TaskContext
from tasks.replay_record import ReplayRecord

_UNJUDGED: Final = frozenset({ModelStatus.DRAFT, ModelStatus.CANDIDATE})


def earlier_verdicts(
    context: TaskContext, run: RunFolder, model_version: str, record: ReplayRecord
) -> tuple[EarlierVerdict, ...]:
    """The other versions judged on bars of the adoption window, as registered when the run was first judged.

    They are kept in theta/earlier_verdicts.json, so that judging a run again gives the same verdict.

    Raises:
        BlockedError: a registered verdict has no window or Sharpe ratio.
        InputError, TransientError: as the registry raises them.
    """
    path = run.earlier_verdicts
    if path.is_file():
        return tuple(EarlierVerdict(**each) for each in read_json(path)["verdicts"])
    entries = Registry(context.variables.postgres_url).history()
    found = overlapping(_verdicts(entries, model_version), record.adoption_start, record.adoption_end)
    write_json(path, {"model_version": model_version, "verdicts": [asdict(each) for each in found]})
    return found


def _verdicts(entries: list[ModelEntry], model_version: str) -> Iterator[EarlierVerdict]:
    for entry in entries:
        version = entry.facts.model_version
        if version == model_version or entry.status in _UNJUDGED:
            continue
        verdict = entry.facts.metrics_json.get("verdict", {})
        try:
            start, end = (_seconds(verdict["window"][edge]) for edge in ("start", "end"))
            ratio = float(verdict["sharpe"])
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(version) from error
        if not math.isfinite(ratio):
            raise _unreadable(version)
        yield EarlierVerdict(version, start, end, ratio)


def _seconds(moment: str) -> int:
    return int(pd.to_datetime(moment, utc=True).timestamp())


def _unreadable(version: str) -> BlockedError:
    return BlockedError(
        "ADOPTION_EARLIER_UNKNOWN",
        "the version was judged, but the window or the Sharpe ratio of its verdict is not registered",
        where=f"core.model_registry {version}",
        remedy="look at it with `python -m tasks registry show`; without it the number of tries is not known",
    )
