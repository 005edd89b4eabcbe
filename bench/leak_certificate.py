"""`python -m bench.leak_certificate`: what the certificate adds to a training of the demonstration market.

Ten pairs over 36 months of hourly bars. The last line is JSON: training_seconds, certificate_seconds, share, checks.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.config.loader import load_settings
from core.config.settings import Settings
from core.config.sources import Simulator
from core.features.batch import build_features
from core.market.alignment import align_pair
from core.market.pairs import Floats, PairBars
from core.market.simulator.market import simulate
from core.models.leakage.future_noise import Learned
from core.models.leakage.training import check_training
from core.models.learning import plan_learning
from core.models.pooling import pool_pairs
from core.models.predictor import Predictions
from core.models.walk_forward import walk_forward
from core.models.windows import plan_windows

CONFIG = Path(__file__).parents[1] / "configs"
HOUR = 3600


def main() -> None:
    settings = load_settings(CONFIG, "dev")
    core, retrain = settings.core_policy, settings.retrain_policy
    bars = demonstration_bars(settings)

    began = time.perf_counter()
    tables = {pair_id: build_features(pair, core.feature_windows) for pair_id, pair in bars.items()}
    pool = pool_pairs(bars, tables, core, retrain.cross_validation)
    windows = plan_windows(pool.timeline, HOUR, retrain.walk_forward)
    learning = plan_learning(core, retrain)
    walked = walk_forward(pool, windows, learning, retrain.workers, lambda done, total: None)
    trained = time.perf_counter()
    checks = check_training(
        Learned(bars, tables, core, retrain.cross_validation, pool, learning, walked.steps),
        walked.final.record,
        retrain.leak_certificate,
        _decide,
        retrain.seed,
    )
    training, certificate = trained - began, time.perf_counter() - trained
    for check in checks:
        print(f"{check.name:<26} {'passed' if check.passed else 'FAILED'} {check.count:>15,}  {check.found}".rstrip())
    print(
        json.dumps(
            {
                "training_seconds": round(training, 2),
                "certificate_seconds": round(certificate, 2),
                "share": round(certificate / training, 3),
                "passed": all(check.passed for check in checks),
            }
        )
    )


def demonstration_bars(settings: Settings) -> dict[str, PairBars]:
    """The newest 36 months of the demonstration market, as the simulator gives them."""
    config = next(provider for provider in settings.sources.providers if isinstance(provider, Simulator))
    raw = simulate(config, settings.universe, HOUR)
    start = max(frame["ts"].max() for frame in raw.values()) - pd.DateOffset(months=36)
    frames = {
        symbol: frame[frame["ts"] > start].assign(filled=False, spike_flag=False, segment=0)
        for symbol, frame in raw.items()
    }
    return {
        pair.id: align_pair(pair.id, HOUR, frames[pair.a], frames[pair.b])
        for pair in settings.universe.pairs
        if pair.a in frames and pair.b in frames
    }


def _decide(predictions: Predictions, z: Floats) -> Floats:
    return np.column_stack((predictions.return_prob > 0.7, predictions.risk_score < 0.3, np.abs(z) < 4.0)).astype(float)


if __name__ == "__main__":
    main()
