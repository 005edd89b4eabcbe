"""What makes two θ searches the same search, and so their trials interchangeable."""

from __future__ import annotations

import hashlib

import numpy as np

from core.config.core_policy import ThetaObjective, ThetaRange, ThetaSearch
from core.thresholds.objective import SearchData


def search_identity(
    data: SearchData, objective: ThetaObjective, ranges: ThetaRange, policy: ThetaSearch, seed: int
) -> str:
    """SHA-256 (hex) over everything a trial's number, θ and value follow from.

    That is all the walk reads, the starts behind FP, the window, the weights and limits of the objective, the range,
    the length of the search, and the seed. The previous θ is no trial of the study and stays out of it.
    """
    length = (policy.grid_points, policy.trials, policy.early_stop_trials)
    settings = (objective.model_dump_json(), ranges.model_dump_json(), length, seed, data.window, data.days_per_year)
    digest = hashlib.sha256(repr(settings).encode())
    for part in (*data.backtest.entries, *data.backtest.ground, *data.starts):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
