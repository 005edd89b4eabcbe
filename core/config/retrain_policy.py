"""retrain_policy.yaml: when and how the models are learned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, Name, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Text


class CrossValidation(ConfigModel):
    """Purged, grouped K-fold in time blocks common to all pairs (SPEC TRN-1, S6)."""

    folds: Annotated[int, Field(ge=2)]
    purge_bars: NonNegativeInt
    embargo_bars: NonNegativeInt
    min_block_bars: PositiveInt


class WalkForward(ConfigModel):
    """Monthly steps after a first learning period (SPEC TRN-1, S9)."""

    first_training_days: PositiveInt
    step_months: PositiveInt
    adoption_window_months: PositiveInt


class CatBoostParameters(ConfigModel):
    """CatBoost's own parameter names."""

    iterations: PositiveInt
    depth: Annotated[int, Field(ge=1, le=10)]
    learning_rate: PositiveFloat
    l2_leaf_reg: NonNegativeFloat
    border_count: Annotated[int, Field(ge=1, le=255)]
    subsample: Annotated[float, Field(gt=0.0, le=1.0)]
    leaf_estimation_iterations: PositiveInt
    thread_count: PositiveInt


class Models(ConfigModel):
    ai1: CatBoostParameters
    ai2: CatBoostParameters
    ai3: CatBoostParameters


class LeakCertificate(ConfigModel):
    """How much of a training is done again to show that it saw no future (docs/leakage.md).

    `moments` are times at which all pairs are cut, `refits` how many of them have a walk-forward step fitted again,
    `window_ends` how often every pair is cut at the end of a label window; `noise_scales` are the spreads, in standard
    deviations of the last prices, the noise after a cut takes in turn.
    """

    moments: PositiveInt
    refits: PositiveInt
    window_ends: PositiveInt
    noise_scales: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class Retries(ConfigModel):
    """Airflow retries of a transient failure, each delay twice the one before (SPEC ORC-1)."""

    count: Annotated[int, Field(ge=0, le=2)]
    delay_seconds: PositiveFloat
    max_delay_seconds: PositiveFloat


class TaskTimeouts(ConfigModel):
    """Seconds after which a task is ended: `general`, or its own by the task's name."""

    general: PositiveInt
    by_task: dict[Name, PositiveInt]

    def of(self, task: str) -> int:
        """Seconds the task `task` may take."""
        return self.by_task.get(task, self.general)


class RetrainPolicy(ConfigModel):
    retrain_cron: Text
    history_months: PositiveInt
    cross_validation: CrossValidation
    walk_forward: WalkForward
    models: Models
    leak_certificate: LeakCertificate
    min_starts: PositiveInt
    base_rate_limits: tuple[float, float]
    seed: NonNegativeInt
    workers: PositiveInt
    shards: PositiveInt
    versions_kept: Annotated[int, Field(ge=5)]
    retries: Retries
    task_timeout_seconds: TaskTimeouts
    heartbeat_seconds: PositiveInt
    heartbeat_lost_seconds: PositiveInt
    pause_after_failures: PositiveInt
