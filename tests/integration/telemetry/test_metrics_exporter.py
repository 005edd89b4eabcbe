"""The metrics computed from real PostgreSQL and Redis."""

from __future__ import annotations

import time

import orjson
import pytest
import redis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.config.events import Event
from core.errors import InputError
from core.postgres import open_engine, transaction
from core.stores.audit import Audit
from core.stores.tables import TASK_RUNS, RunStatus
from core.stores.task_runs import TaskRuns
from core.telemetry.heartbeat import HEARTBEATS
from core.telemetry.outbox import Outbox
from core.telemetry.outbox_tables import DELIVERIES, Settled, Target
from tasks.metrics_exporter import BOUNDS, WHOLE, MetricsExporter
from tests.fixtures.tiny_market import NOWHERE
from tests.integration.alerts.notices import fields_of
from tests.integration.telemetry.metrics import LOST_SECONDS, record, samples, task_metrics, value


def ended_at(url: str, number: int) -> float:
    """When the attempt of this number, from 1 in the order of their ends, ended: epoch seconds."""
    query = sa.select(TASK_RUNS.c.started_at, TASK_RUNS.c.seconds).order_by(TASK_RUNS.c.id)
    with transaction(open_engine(url)) as connection:
        row = connection.execute(query).all()[number - 1]
    return float(row.started_at.timestamp() + row.seconds)


def test_counts_and_durations_of_attempts(registry_url: str, redis_url: str) -> None:
    for seconds in (0.5, 60.0, 61.0):
        record(registry_url, "train", seconds)
    record(registry_url, "train", 20.0, shard="1/2")
    record(registry_url, "train", 999.0, exit_code=30)
    found = samples(task_metrics(registry_url, redis_url))
    assert value(found, "core_task_runs_total", task="train", exit_code="0") == 4
    assert value(found, "core_task_runs_total", task="train", exit_code="30") == 1
    train = {"task": "train", "part": "whole"}
    assert value(found, "core_task_duration_seconds_bucket", **train, le="1.0") == 1
    assert value(found, "core_task_duration_seconds_bucket", **train, le="60.0") == 2
    assert value(found, "core_task_duration_seconds_bucket", **train, le="+Inf") == 3
    assert value(found, "core_task_duration_seconds_sum", **train) == 121.5
    assert value(found, "core_task_duration_seconds_count", task="train", part="shard") == 1
    assert value(found, "core_task_last_duration_seconds", **train) == 61.0
    assert value(found, "core_task_last_success_timestamp_seconds", **train) == pytest.approx(ended_at(registry_url, 3))


def test_a_retrain_lasts_from_its_first_task_to_the_trained_models(registry_url: str, redis_url: str) -> None:
    def at(task: str, start: int, end: int, trace_id: str = "t1", exit_code: int = 0, shard: str | None = None) -> None:
        record(registry_url, task, float(end - start), exit_code, trace_id=trace_id, shard=shard)
        with transaction(open_engine(registry_url)) as connection:
            newest = sa.select(sa.func.max(TASK_RUNS.c.id)).scalar_subquery()
            moment = sa.func.to_timestamp(1_700_000_000 + start)
            connection.execute(TASK_RUNS.update().where(TASK_RUNS.c.id == newest).values(started_at=moment))

    at("ingest", 0, 10)
    at("ingest", 0, 10, "other")
    at("catalog", 12, 20)
    at("train", 25, 30, exit_code=30)
    at("train", 40, 60, shard="2/2")
    at("train", 40, 100)
    at("backtest", 101, 500)
    at("train", 600, 650)
    found = samples(task_metrics(registry_url, redis_url))
    assert value(found, "core_retrain_duration_seconds_count") == 2
    assert value(found, "core_retrain_duration_seconds_sum") == 100 + 50
    assert value(found, "core_backtest_duration_seconds_sum") == 399
    assert value(found, "bt_run_duration_sum", task="backtest") == 399
    assert value(found, "bt_run_duration_count", task="theta") == 0


def test_data_quality_and_lags(registry_url: str, redis_url: str) -> None:
    metrics = task_metrics(registry_url, redis_url)
    found = samples(metrics)
    assert value(found, "dq_fail_total", check="gate", task="features") == 0
    assert not any(name.startswith("data_pipeline") for name, _ in found)

    now = time.time()
    written = {"bars_written": 100.0, "partitions_quarantined": 2.0, "watermark": now - 5000}
    record(registry_url, "ingest", metrics=written)
    record(registry_url, "features", exit_code=10)
    found = samples(metrics)
    assert value(found, "dq_fail_total", check="gate", task="features") == 1
    assert value(found, "dq_fail_total", check="quarantine", task="ingest") == 2
    assert value(found, "data_pipeline_lag_seconds") == pytest.approx(ended_at(registry_url, 1) - written["watermark"])
    assert value(found, "data_watermark_lag_seconds") >= value(found, "data_pipeline_lag_seconds") - 1

    old = {"bars_written": 5.0, "partitions_quarantined": 0.0, "watermark": 1000.0, "as_of": 1700.0}
    record(registry_url, "ingest", metrics=old)
    found = samples(metrics)
    assert value(found, "data_bars_written_total") == 105
    assert value(found, "data_pipeline_lag_seconds") == value(found, "data_watermark_lag_seconds") == 700


def test_a_repeated_search_counts_its_trials_once(registry_url: str, redis_url: str) -> None:
    for run_id, trials, best in (("r1", 40.0, 0.1), ("r1", 90.0, 0.3), ("r1", 90.0, 0.3), ("r2", 60.0, -0.2)):
        record(registry_url, "theta", run_id=run_id, metrics={"theta_trials": trials, "theta_best_score": best})
    found = samples(task_metrics(registry_url, redis_url))
    assert value(found, "core_theta_trials_total") == 150
    assert value(found, "core_theta_best_score") == -0.2


def test_how_flows_ended(registry_url: str, redis_url: str) -> None:
    audit = Audit(registry_url)
    audit.record_run("core_publish_flow", "t1", RunStatus.REJECTED, "r1", "Sharpe too low")
    audit.record_run("core_retrain_flow", "t2", RunStatus.FAILED, None, "disk full")
    audit.record_run("core_retrain_flow", "t3", RunStatus.FAILED, None, "disk full")
    found = samples(task_metrics(registry_url, redis_url))
    assert value(found, "core_flow_runs_total", dag_id="core_retrain_flow", status="failed") == 2
    assert value(found, "core_retrain_failures_in_a_row") == 2
    ended = [recorded.recorded_at.timestamp() for recorded in audit.runs(3)]
    last = "core_flow_last_end_timestamp_seconds"
    assert value(found, last, dag_id="core_retrain_flow", status="failed") == ended[0]
    assert value(found, last, dag_id="core_publish_flow", status="rejected") == ended[2]


def test_a_silent_task_is_not_counted_alive(registry_url: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for name, age in (("t1/train", 10.0), ("t1/features[1/2]", 20.0), ("t2/train", LOST_SECONDS + 5.0)):
            beat = {"at": time.time() - age, "started": 1.0, "host": "h", "pid": 1, "every": 60}
            client.hset(HEARTBEATS, name, orjson.dumps(beat))
    found = samples(task_metrics(registry_url, redis_url))
    assert value(found, "core_task_heartbeats") == 2


def test_notifications_that_wait_and_alarms_of_lost_heartbeats(registry_url: str, redis_url: str) -> None:
    metrics = task_metrics(registry_url, redis_url)
    assert value(samples(metrics), "core_task_heartbeats_lost_total") == 0
    outbox = Outbox(registry_url)
    for event in (Event.HEARTBEAT_LOST, Event.VERDICT):
        outbox.post(event, event.value, fields_of(event))
    done = sa.update(DELIVERIES).where(DELIVERIES.c.target == Target.SLACK)
    with transaction(open_engine(registry_url)) as connection:
        connection.execute(done.values(settled=Settled.DELIVERED, settled_at=sa.func.now()))
    found = samples(metrics)
    assert value(found, "core_task_heartbeats_lost_total") == 1
    assert value(found, "core_outbox_backlog", target="pagerduty") == 2
    assert value(found, "core_outbox_backlog", target="slack") == 0


def test_a_source_that_is_away_leaves_the_other(registry_url: str, redis_url: str) -> None:
    record(registry_url, "train")
    with capture_logs() as logs:
        for urls, here, away in (
            ((registry_url, NOWHERE[1]), "postgresql", "redis"),
            ((NOWHERE[0], redis_url), "redis", "postgresql"),
        ):
            metrics = task_metrics(*urls)
            for _ in range(2):
                found = samples(metrics)
                assert value(found, "core_metrics_source_up", source=here) == 1
                assert value(found, "core_metrics_source_up", source=away) == 0
                assert (
                    ("core_task_heartbeats", ()) in found
                    if here == "redis"
                    else ("core_task_heartbeats", ()) not in found
                )
    assert [line["event"] for line in logs] == ["metrics_source_unreachable"] * 2


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0.1, *BOUNDS, 9000.0]) | st.floats(0.0, 8000.0), min_size=1, max_size=8))
def test_buckets_count_what_they_hold(registry_url: str, durations: list[float]) -> None:
    attempt = {"task": "report", "trace_id": "t1", "started_at": sa.func.now(), "status": "done", "exit_code": 0}
    with transaction(open_engine(registry_url)) as connection:
        connection.execute(sa.delete(TASK_RUNS))
        for seconds in durations:
            connection.execute(TASK_RUNS.insert().values(**attempt, seconds=seconds, metrics={}))
    with TaskRuns(registry_url).sums() as sums:
        counted = sums.durations(BOUNDS)["report", WHOLE]
    assert counted.within == tuple(sum(seconds <= bound for seconds in durations) for bound in BOUNDS)
    assert counted.count == len(durations)
    assert counted.seconds == pytest.approx(sum(durations))


def test_a_port_that_is_taken_is_named(registry_url: str, redis_url: str) -> None:
    metrics = task_metrics(registry_url, redis_url)
    with (
        MetricsExporter(metrics, port=0) as first,
        pytest.raises(InputError, match=f"METRICS_PORT_TAKEN.*{first.port}"),
    ):
        MetricsExporter(metrics, first.port).__enter__()
