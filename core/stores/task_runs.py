"""What every attempt of a task took and found, kept in PostgreSQL from where the metrics are computed (SPEC OBS-1)."""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from core.postgres import open_engine, transaction
from core.stores.tables import RETRAIN_RUNS, TASK_RUNS, RunStatus

DONE: Final = 0
GATE_FAILED: Final = 10


@dataclass(frozen=True)
class TaskRun:
    """One attempt. `shard` is ``k/n`` or None, `run_id` None where no run is known; `metrics` as on the last line."""

    task: str
    shard: str | None
    trace_id: str
    run_id: str | None
    seconds: float
    status: str
    exit_code: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Durations:
    """How long the attempts that were done took. `within[i]` of them took at most `bounds[i]` seconds."""

    within: tuple[int, ...]
    count: int
    seconds: float


@dataclass(frozen=True)
class LastRun:
    """The newest attempt of a task that was done, on the database's clock."""

    ended_at: datetime.datetime
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class FlowEnding:
    """How often a flow ended in a way, and when it last did."""

    dag_id: str
    status: RunStatus
    count: int
    last_at: datetime.datetime


_ENDED = TASK_RUNS.c.started_at + sa.func.make_interval(0, 0, 0, 0, 0, 0, TASK_RUNS.c.seconds)
_SHARDED = TASK_RUNS.c.shard.is_not(None)


class TaskRuns:
    """Appends to core.task_runs and sums it up.

    Every method raises TransientError where PostgreSQL does not answer, and InputError where the schema is missing.
    """

    def __init__(self, postgres_url: str) -> None:
        self._engine = open_engine(postgres_url)

    def record(self, run: TaskRun) -> None:
        """Append an attempt that ends now. A metric without a finite value is left out."""
        metrics = {name: float(value) for name, value in run.metrics.items() if math.isfinite(value)}
        started_at = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, run.seconds)
        values = {**asdict(run), "metrics": metrics, "started_at": started_at}
        with transaction(self._engine) as connection:
            connection.execute(TASK_RUNS.insert().values(**values))

    @contextmanager
    def sums(self) -> Iterator[TaskSums]:
        """Everything that can be summed up, over one connection."""
        with transaction(self._engine) as connection:
            yield TaskSums(connection)


class TaskSums:
    """What all attempts together took and found."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def counts(self) -> dict[tuple[str, int], int]:
        """Attempts by task and exit code."""
        query = sa.select(TASK_RUNS.c.task, TASK_RUNS.c.exit_code, sa.func.count()).group_by(
            TASK_RUNS.c.task, TASK_RUNS.c.exit_code
        )
        return {(task, exit_code): count for task, exit_code, count in self._connection.execute(query)}

    def durations(self, bounds: Collection[float]) -> dict[tuple[str, bool], Durations]:
        """Durations by task, and whether it was a shard of it."""
        query = (
            sa.select(TASK_RUNS.c.task, _SHARDED, *_spread(TASK_RUNS.c.seconds, bounds))
            .where(TASK_RUNS.c.exit_code == DONE)
            .group_by(TASK_RUNS.c.task, _SHARDED)
        )
        return {(task, sharded): _durations(spread) for task, sharded, *spread in self._connection.execute(query)}

    def chain_durations(self, tasks: Collection[str], last: str, bounds: Collection[float]) -> Durations:
        """From the start of the first of `tasks` to the end of `last`, pauses and repeats between them included.

        A trace that reaches `last` again counts again, from where it had reached it before.
        """
        reached = sa.and_(TASK_RUNS.c.task == last, ~_SHARDED, TASK_RUNS.c.exit_code == DONE)
        earlier = (
            sa.func.count()
            .filter(reached)
            .over(partition_by=TASK_RUNS.c.trace_id, order_by=TASK_RUNS.c.id, rows=(None, -1))
        )
        rows = (
            sa.select(
                TASK_RUNS.c.trace_id,
                earlier.label("earlier"),
                TASK_RUNS.c.started_at,
                _ENDED.label("ended_at"),
                reached.label("reached"),
            )
            .where(TASK_RUNS.c.task.in_(tasks))
            .subquery()
        )
        elapsed = sa.extract("epoch", sa.func.max(rows.c.ended_at) - sa.func.min(rows.c.started_at))
        chains = (
            sa.select(sa.cast(elapsed, sa.Double).label("seconds"))
            .group_by(rows.c.trace_id, rows.c.earlier)
            .having(sa.func.bool_or(rows.c.reached))
            .subquery()
        )
        return _durations(list(self._connection.execute(sa.select(*_spread(chains.c.seconds, bounds))).one()))

    def last(self) -> dict[tuple[str, bool], LastRun]:
        """The newest attempt that was done, by task and whether it was a shard of it."""
        query = (
            sa.select(TASK_RUNS.c.task, _SHARDED, _ENDED, TASK_RUNS.c.seconds, TASK_RUNS.c.metrics)
            .where(TASK_RUNS.c.exit_code == DONE)
            .ext(distinct_on(TASK_RUNS.c.task, _SHARDED))
            .order_by(TASK_RUNS.c.task, _SHARDED, TASK_RUNS.c.id.desc())
        )
        return {(task, sharded): LastRun(*row) for task, sharded, *row in self._connection.execute(query)}

    def total(self, task: str, metric: str) -> float:
        """The sum of a metric over every attempt of a task."""
        query = sa.select(sa.func.sum(_metric(metric))).where(TASK_RUNS.c.task == task)
        return float(self._connection.scalar(query) or 0.0)

    def total_by_run(self, task: str, metric: str) -> float:
        """The sum over runs of the largest a task reported: a task that is repeated counts its work once."""
        largest = (
            sa.select(sa.func.max(_metric(metric)).label("value"))
            .where(TASK_RUNS.c.task == task)
            .group_by(TASK_RUNS.c.run_id)
            .subquery()
        )
        return float(self._connection.scalar(sa.select(sa.func.sum(largest.c.value))) or 0.0)

    def flow_endings(self) -> list[FlowEnding]:
        """What audit.retrain_runs holds, by flow and status."""
        columns = RETRAIN_RUNS.c.dag_id, RETRAIN_RUNS.c.status
        query = sa.select(*columns, sa.func.count(), sa.func.max(RETRAIN_RUNS.c.recorded_at)).group_by(*columns)
        rows = list(self._connection.execute(query))
        return [FlowEnding(dag_id, RunStatus(status), count, last_at) for dag_id, status, count, last_at in rows]


def _metric(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(TASK_RUNS.c.metrics[name].astext, sa.Double)


def _spread(seconds: sa.ColumnElement[Any], bounds: Collection[float]) -> list[sa.ColumnElement[Any]]:
    """The columns `_durations` reads."""
    within = [sa.func.count().filter(seconds <= bound) for bound in bounds]
    return [*within, sa.func.count(), sa.func.coalesce(sa.func.sum(seconds), 0.0)]


def _durations(spread: list[Any]) -> Durations:
    *within, count, seconds = spread
    return Durations(tuple(within), count, float(seconds))
