"""The metrics of tasks that have long ended, computed from what they left behind when Prometheus asks (SPEC OBS-1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Final, Self
from wsgiref.simple_server import WSGIServer

import redis
import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from core.errors import CoreError, InputError
from core.postgres import open_engine, transaction
from core.stores.outbox_sums import outbox_sums
from core.stores.retraining import failures_in_a_row
from core.stores.task_runs import GATE_FAILED, Durations, LastRun, TaskRuns, TaskSums
from core.telemetry.heartbeat import ANSWER_SECONDS, read_beats

RETRAIN_TASKS: Final = ("admit", "ingest", "catalog", "gate", "features", "train")
"""The tasks of core_retrain_flow; `train` is its last."""
ENGINE_TASKS: Final = ("backtest", "theta")
"""The tasks that run the backtest engine."""
GATED_TASKS: Final = ("catalog", "features", "gate", "theta", "train")
"""The tasks a gate can fail: their counters stand at 0 before the first failure, or no increase would show."""
BOUNDS: Final = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Upper bounds of the buckets of durations, in seconds."""
WHOLE: Final = False
"""Of the key (task, whether a shard of it)."""

_PARTS: Final = {WHOLE: "whole", True: "shard"}


class TaskMetrics(Collector):
    """Everything docs/observability.md lists. It keeps no number: after a restart it says what it said before."""

    def __init__(
        self, postgres_url: str, redis_url: str, heartbeat_lost_seconds: float, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._runs = TaskRuns(postgres_url)
        self._engine = open_engine(postgres_url)
        self._postgres_url = postgres_url
        self._redis_url = redis_url
        self._lost_seconds = heartbeat_lost_seconds
        self._log = log
        self._silent: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        """The metrics of every source that answers; core_metrics_source_up says which did."""
        up = GaugeMetricFamily("core_metrics_source_up", "Whether the source answered this scrape.", labels=["source"])
        sources: Mapping[str, Callable[[], Iterator[Metric]]] = {"postgresql": self._attempts, "redis": self._beats}
        for name, read in sources.items():
            try:
                metrics = list(read())
            except (CoreError, SQLAlchemyError, redis.RedisError) as error:
                up.add_metric([name], 0.0)
                if name not in self._silent:
                    self._log.warning("metrics_source_unreachable", source=name, error=str(error))
                self._silent.add(name)
                continue
            self._silent.discard(name)
            up.add_metric([name], 1.0)
            yield from metrics
        yield up

    def _attempts(self) -> Iterator[Metric]:
        with self._runs.sums() as sums:
            counts, last = sums.counts(), sums.last()
            yield _endings(counts)
            yield from _durations(sums)
            yield from _newest(last)
            yield from _data_quality(sums, counts)
            yield from _lags(last.get(("ingest", WHOLE)))
            yield from _search(sums, last.get(("theta", WHOLE)))
            yield from _flows(sums)
        with transaction(self._engine) as connection:
            failures = failures_in_a_row(connection)
        yield GaugeMetricFamily("core_retrain_failures_in_a_row", "Newest chains that failed.", value=failures)
        waiting = GaugeMetricFamily("core_outbox_backlog", "Notifications not delivered yet.", labels=["target"])
        outbox = outbox_sums(self._postgres_url)
        for target, count in outbox.waiting.items():
            waiting.add_metric([target], count)
        yield waiting
        yield CounterMetricFamily(
            "core_task_heartbeats_lost", "Tasks that fell silent without ending.", value=outbox.heartbeats_lost
        )

    def _beats(self) -> Iterator[Metric]:
        with redis.Redis.from_url(
            self._redis_url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        ) as client:
            beats = read_beats(client)
        alive = sum(time.time() - beat.at <= self._lost_seconds for beat in beats)
        yield GaugeMetricFamily("core_task_heartbeats", "Task processes that beat.", value=alive)


class MetricsExporter:
    """Serves `TaskMetrics` over HTTP, from a thread of its own, while the block it is entered for runs."""

    def __init__(self, metrics: TaskMetrics, port: int) -> None:
        """`port` on every interface; 0 takes a free one."""
        self._registry = CollectorRegistry()
        self._registry.register(metrics)
        self._port = port
        self._server: WSGIServer | None = None

    def __enter__(self) -> Self:
        """Raises InputError where the port cannot be had."""
        try:
            self._server, _ = start_http_server(self._port, registry=self._registry)
        except OSError as error:
            raise InputError(
                "METRICS_PORT_TAKEN",
                f"the metrics cannot be served on port {self._port}: {error.strerror}",
                where="observability_policy.yaml, metrics.port",
                remedy="stop what listens there, or give this environment another port",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def port(self) -> int:
        """Where it listens. Raises RuntimeError before it is entered."""
        if self._server is None:
            raise RuntimeError("the exporter was not started")
        return self._server.server_port


def _endings(counts: Mapping[tuple[str, int], int]) -> Metric:
    runs = CounterMetricFamily("core_task_runs", "Attempts that ended by themselves.", labels=["task", "exit_code"])
    for (task, exit_code), count in sorted(counts.items()):
        runs.add_metric([task, str(exit_code)], count)
    return runs


def _durations(sums: TaskSums) -> Iterator[Metric]:
    none = Durations((0,) * len(BOUNDS), 0, 0.0)
    found = sums.durations(BOUNDS)
    tasks = HistogramMetricFamily("core_task_duration_seconds", "Attempts that were done.", labels=["task", "part"])
    for (task, sharded), durations in sorted(found.items()):
        tasks.add_metric([task, _PARTS[sharded]], _buckets(durations), durations.seconds)
    yield tasks
    chains = sums.chain_durations(RETRAIN_TASKS, RETRAIN_TASKS[-1], BOUNDS)
    yield HistogramMetricFamily(
        "core_retrain_duration_seconds", "From the first task to the trained models.", _buckets(chains), chains.seconds
    )
    backtests = found.get(("backtest", WHOLE), none)
    yield HistogramMetricFamily(
        "core_backtest_duration_seconds", "Backtest tasks.", _buckets(backtests), backtests.seconds
    )
    engine = HistogramMetricFamily("bt_run_duration", "Tasks that run the engine, in seconds.", labels=["task"])
    for task in ENGINE_TASKS:
        durations = found.get((task, WHOLE), none)
        engine.add_metric([task], _buckets(durations), durations.seconds)
    yield engine


def _data_quality(sums: TaskSums, counts: Mapping[tuple[str, int], int]) -> Iterator[Metric]:
    written = sums.total("ingest", "bars_written")
    yield CounterMetricFamily("data_bars_written", "Bars of published partitions.", value=written)
    failures = CounterMetricFamily(
        "dq_fail", "Failed gates, and published partitions in quarantine.", labels=["check", "task"]
    )
    for task in sorted({*GATED_TASKS, *(task for task, exit_code in counts if exit_code == GATE_FAILED)}):
        failures.add_metric(["gate", task], counts.get((task, GATE_FAILED), 0))
    failures.add_metric(["quarantine", "ingest"], sums.total("ingest", "partitions_quarantined"))
    yield failures


def _search(sums: TaskSums, last: LastRun | None) -> Iterator[Metric]:
    trials = sums.total_by_run("theta", "theta_trials")
    yield CounterMetricFamily("core_theta_trials", "Trials of the θ search, each run's once.", value=trials)
    if last is not None and "theta_best_score" in last.metrics:
        best = last.metrics["theta_best_score"]
        yield GaugeMetricFamily("core_theta_best_score", "Best objective of the last θ search.", value=best)


def _flows(sums: TaskSums) -> Iterator[Metric]:
    labels = ["dag_id", "status"]
    ended = CounterMetricFamily("core_flow_runs", "Endings in audit.retrain_runs.", labels=labels)
    newest = GaugeMetricFamily("core_flow_last_end_timestamp_seconds", "When the flow last ended so.", labels=labels)
    for ending in sums.flow_endings():
        ended.add_metric([ending.dag_id, ending.status.value], ending.count)
        newest.add_metric([ending.dag_id, ending.status.value], ending.last_at.timestamp())
    yield ended
    yield newest


def _newest(last: Mapping[tuple[str, bool], LastRun]) -> Iterable[Metric]:
    labels = ["task", "part"]
    seconds = GaugeMetricFamily("core_task_last_duration_seconds", "The newest attempt that was done.", labels=labels)
    ended = GaugeMetricFamily("core_task_last_success_timestamp_seconds", "When it was done.", labels=labels)
    for (task, sharded), run in sorted(last.items()):
        seconds.add_metric([task, _PARTS[sharded]], run.seconds)
        ended.add_metric([task, _PARTS[sharded]], run.ended_at.timestamp())
    return seconds, ended


def _lags(ingest: LastRun | None) -> Iterable[Metric]:
    """Of the symbol whose bars reach least far. Where the task names an instant as now, that is now."""
    if ingest is None or "watermark" not in ingest.metrics:
        return ()
    watermark, as_of = ingest.metrics["watermark"], ingest.metrics.get("as_of")
    imported = as_of if as_of is not None else ingest.ended_at.timestamp()
    now = as_of if as_of is not None else time.time()
    return (
        GaugeMetricFamily(
            "data_pipeline_lag_seconds",
            "From a bar's close to the lake, at the last import.",
            value=imported - watermark,
        ),
        GaugeMetricFamily("data_watermark_lag_seconds", "From the lake's newest bar to now.", value=now - watermark),
    )


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    bounds = [str(bound) for bound in BOUNDS]
    return [*zip(bounds, map(float, durations.within), strict=True), ("+Inf", float(durations.count))]
