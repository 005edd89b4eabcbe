"""The whole configuration as one frozen object, one field a file."""

from __future__ import annotations

from core.config.analytics_policy import AnalyticsPolicy
from core.config.backtest_policy import BacktestPolicy
from core.config.core_policy import CorePolicy
from core.config.cost_table import CostTable
from core.config.data_retention import DataRetention
from core.config.dd_policy import DdPolicy
from core.config.environment import Environment
from core.config.ml_core_storage import MlCoreStorage
from core.config.model import ConfigModel
from core.config.observability_policy import ObservabilityPolicy
from core.config.pipeline_policy import PipelinePolicy
from core.config.retrain_policy import RetrainPolicy
from core.config.runbook_policy import RunbookPolicy
from core.config.slack_policy import SlackPolicy
from core.config.sources import Sources
from core.config.universe import Universe


class Settings(ConfigModel):
    """Field names are file names: `core_policy` is read from core_policy.yaml."""

    analytics_policy: AnalyticsPolicy
    backtest_policy: BacktestPolicy
    core_policy: CorePolicy
    cost_table: CostTable
    data_retention: DataRetention
    dd_policy: DdPolicy
    environment: Environment
    ml_core_storage: MlCoreStorage
    observability_policy: ObservabilityPolicy
    pipeline_policy: PipelinePolicy
    retrain_policy: RetrainPolicy
    runbook_policy: RunbookPolicy
    slack_policy: SlackPolicy
    sources: Sources
    universe: Universe
