"""What a test reads from the metrics."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from core.stores.task_runs import TaskRun, TaskRuns
from tasks.metrics_exporter import TaskMetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
LOST_SECONDS = 180.0


def task_metrics(postgres_url: str, redis_url: str) -> TaskMetrics:
    return TaskMetrics(postgres_url, redis_url, LOST_SECONDS, structlog.get_logger())


def samples(metrics: TaskMetrics) -> Samples:
    """One scrape, as Prometheus parses it: value by name and sorted labels."""
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def record(url: str, task: str, seconds: float = 1.0, exit_code: int = 0, **fields: object) -> None:
    """An attempt that ends now; what is not said is unremarkable."""
    values = {"shard": None, "trace_id": "t1", "run_id": None, "metrics": {}, **fields}
    status = "failed" if exit_code else "done"
    TaskRuns(url).record(TaskRun(task=task, seconds=seconds, status=status, exit_code=exit_code, **values))  # type: ignore[arg-type]
