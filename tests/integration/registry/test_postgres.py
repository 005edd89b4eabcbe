"""Conditions of a real PostgreSQL that pass are a reason to come back, whatever class of error says so."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa

from core.errors import TransientError
from core.postgres import open_engine, transaction
from core.stores.task_runs import TaskRun, TaskRuns
from tests.fixtures.read_only import read_only

RUN = TaskRun("train", None, "t1", "r1", 1.0, "done", 0, {})


def test_a_server_that_takes_no_writes_for_now_is_come_back_to(registry_url: str) -> None:
    read_only(registry_url, "on")
    with pytest.raises(TransientError, match="DATABASE_SERVER_READ_ONLY"):
        TaskRuns(registry_url).record(RUN)
    read_only(registry_url, "off")
    TaskRuns(registry_url).record(RUN)
    with TaskRuns(registry_url).sums() as sums:
        assert sums.counts() == {("train", 0): 1}


def test_a_session_the_server_ended_is_a_server_that_went_away(registry_url: str) -> None:
    here = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")

    def idle() -> None:
        with transaction(open_engine(registry_url)) as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 1"))
            with transaction(open_engine(registry_url)) as other:
                while other.scalar(here, {"pid": pid}):
                    other.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(TransientError, match="DATABASE_SERVER_UNREACHABLE"):
        idle()


def test_a_defect_stays_one(registry_url: str) -> None:
    def go_on_in_a_failed_transaction() -> None:
        with transaction(open_engine(registry_url)) as connection:
            with suppress(sa.exc.DataError):
                connection.execute(sa.text("SELECT 1 / 0"))
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(sa.exc.InternalError):
        go_on_in_a_failed_transaction()
