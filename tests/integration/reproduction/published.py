"""A model trained, judged, published and deployed on the tiny simulated market, by the real tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.config.loader import load_settings
from core.config.settings import Settings
from core.stores.roots import StorageRoots
from tasks.backtest import backtest_run
from tasks.catalog import catalog_lake
from tasks.context import TaskContext
from tasks.features import build_run
from tasks.gates import Gate
from tasks.ingest import import_bars
from tasks.publish import publish_model
from tasks.theta import theta_run
from tasks.train import train_run
from tests.fixtures import markets
from tests.fixtures.config_tree import change
from tests.fixtures.gates import pass_gates
from tests.integration.publish.judged_runs import make_context

LOWERED = {
    "sharpe_min": -99.0,
    "max_drawdown": 1.0,
    "trades_per_year_min": 0.001,
    "psr_min": 0.0,
    "deflated_sharpe.search_min": 0.0,
    "deflated_sharpe.adoption_min": 0.0,
    "overfitting.loss_probability_max": 1.0,
}


@dataclass(frozen=True)
class Published:
    """The context its tasks ran in, and the version they made."""

    context: TaskContext
    version: str
    config_root: Path


def publish_tiny_market(folder: Path, postgres_url: str, redis_url: str) -> Published:
    """Limits are lowered so that the model is deployed: whether it deserves it is not what is tested."""
    root = markets.tiny(folder)
    for name, limit in LOWERED.items():
        change(root, "backtest_policy.yaml", f"adoption.{name}", limit)
    change(root, "core_policy.yaml", "theta_search.early_stop_trials", 5)
    change(root, "core_policy.yaml", "theta_search.bootstrap_resamples", 100)
    context = _with(make_context(folder / "archive", postgres_url, redis_url), load_settings(root, "dev"))
    import_bars(context, None, "test", None)
    version = str(catalog_lake(context, None).outputs["model_version"])
    run = context.run(version)
    pass_gates(run, Gate.CANONICAL, Gate.INDEX)
    build_run(context, version)
    pass_gates(run, Gate.FEATURES)
    train_run(context, version, version)
    pass_gates(run, Gate.PREDICTIONS)
    for body in (backtest_run, theta_run):
        body(context, version, version)
    assert publish_model(context, version, version).outputs["status"] == "deployed"
    return Published(context, version, root)


def _with(context: TaskContext, settings: Settings) -> TaskContext:
    roots = StorageRoots.below(context.roots.archive, settings.ml_core_storage)
    return replace(context, settings=settings, roots=roots)
