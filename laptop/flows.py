"""The four flows of the chain and the tasks of each, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ADMITTING: Final = "admit"
"""The task that asks whether retraining is paused. Where tasks are run by hand it is left out."""
FLOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "core_retrain_flow": (
        ADMITTING,
        "ingest",
        "catalog",
        "gate-canonical",
        "gate-index",
        "features",
        "gate-features",
        "train",
        "gate-predictions",
    ),
    "core_backtest_flow": ("backtest",),
    "core_theta_opt_flow": ("theta", "report"),
    "core_publish_flow": ("publish", "infer"),
}
FIRST_FLOW: Final = "core_retrain_flow"
LAST_FLOW: Final = "core_publish_flow"
