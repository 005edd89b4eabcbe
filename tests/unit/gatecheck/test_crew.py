"""Processes that run markets: what is told of one that dies, whenever it does, and what is left at the end."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from gatecheck.crew import Crew, Ended
from gatecheck.plan import SHIPPED, markets_of, read_plan
from gatecheck.worker import Interruption, Job

MARKETS = markets_of(read_plan(SHIPPED), ("no_edge",))


def die(line: Connection) -> None:
    os._exit(3)


def work_for_ever(line: Connection) -> None:
    line.recv()
    time.sleep(600)


def _job(number: int) -> Job:
    return Job(MARKETS[number], Path("markets") / str(number), Path("configs"), "", "k")


def _ended(crew: Crew) -> Ended:
    (ended,) = crew.ended(30.0)
    return ended


def _interruption(ended: Ended) -> Interruption:
    assert isinstance(ended.outcome, Interruption)
    return ended.outcome


def test_a_process_that_dies_before_it_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatecheck.crew._work", die)
    with Crew(1) as crew:
        crew.begin(_job(0))
        ended = _ended(crew)
        assert crew.has_room
    assert ended.job == _job(0)
    assert _interruption(ended).code == "GATECHECK_MARKET_LOST"
    assert "exit code 3" in _interruption(ended).message
    assert _interruption(ended).where == str(_job(0).log)


def test_only_the_market_of_a_killed_process_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatecheck.crew._work", work_for_ever)
    with Crew(2) as crew:
        before = {each.pid for each in multiprocessing.active_children()}
        crew.begin(_job(0))
        (first,) = {each.pid for each in multiprocessing.active_children()} - before
        crew.begin(_job(1))
        assert not crew.has_room
        assert crew.ended(0.0) == []
        psutil.Process(first).kill()
        ended = _ended(crew)
        assert ended.job == _job(0)
        assert "SIGKILL" in _interruption(ended).message
        assert crew.running == [_job(1)]
        crew.begin(ended.job)
        assert crew.running == [_job(1), _job(0)]
    assert multiprocessing.active_children() == []


def test_a_defect_of_the_surroundings_is_a_failed_market(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    job = Job(MARKETS[0], tmp_path / "file" / "below", tmp_path, "", "k")
    with Crew(1) as crew:
        crew.begin(job)
        ended = _ended(crew)
    assert not isinstance(ended.outcome, Interruption)
    assert (ended.outcome.outcome, ended.outcome.name) == ("failed", MARKETS[0].name)
    assert "NotADirectoryError" in ended.outcome.reasons[0]
    assert multiprocessing.active_children() == []
