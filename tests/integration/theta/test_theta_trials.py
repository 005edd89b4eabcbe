"""The trials of the θ search in a real PostgreSQL: killed, taken up, shared, repeated."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import pandas as pd
import pytest
import sqlalchemy as sa
from pandas.testing import assert_frame_equal

from core.errors import InputError, TransientError
from core.postgres import open_engine, transaction
from core.stores.theta_trials import PostgresTrials, open_trials, upgrade_trials
from core.thresholds.search import search, trials_frame
from core.thresholds.trial_store import TrialStore
from tests.unit.thresholds.surfaces import OBJECTIVE, RANGES, SEARCH
from tests.unit.thresholds.test_search import search_data

STUDY = "20240601_0000_0a1b2c3d-test"
SPAWN = multiprocessing.get_context("spawn")
POLICY = SEARCH.model_copy(update={"grid_points": 4, "trials": 20, "early_stop_trials": 8})


def found(store: TrialStore | None) -> pd.DataFrame:
    outcome = search(
        search_data(days=40),
        OBJECTIVE.model_copy(update={"trades_per_year_min": 30.0}),
        RANGES,
        POLICY,
        previous=(0.70, 0.30),
        seed=5,
        on_trial=lambda done, most: None,
        store=store,
    )
    return trials_frame(outcome)


class Mortal(PostgresTrials):
    """Dies by SIGKILL when it has claimed trial `last`: the trial is there, its value is not."""

    last = -1

    def claim(self, number: int, *, wait: bool) -> bool:
        claimed = super().claim(number, wait=wait)
        if number == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return claimed


@contextmanager
def mortal(url: str, last: int) -> Iterator[Mortal]:
    with open_trials(url, STUDY) as store:
        worker = Mortal(store.study, store._session)
        worker.last = last
        yield worker


def search_until(url: str, last: int) -> None:
    with mortal(url, last) as store:
        found(store)


def search_whole(url: str) -> pd.DataFrame:
    with open_trials(url, STUDY) as store:
        return found(store)


def stored_trials(url: str) -> pd.DataFrame:
    with open_trials(url, STUDY) as store:
        return pd.DataFrame(
            [{"number": t.number, "state": t.state.name, **t.params} for t in store.study.get_trials(deepcopy=False)]
        )


@pytest.fixture(scope="module")
def undisturbed() -> pd.DataFrame:
    """What a search finds that keeps its trials in memory."""
    return found(None)


def test_a_killed_search_goes_on_to_the_same_trials(registry_url: str, undisturbed: pd.DataFrame) -> None:
    for last in (5, 19):  # on the grid, and among the proposals of TPE
        worker = SPAWN.Process(target=search_until, args=(registry_url, last))
        worker.start()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        stored = stored_trials(registry_url)
        assert stored["number"].tolist() == list(range(last + 1))
        assert stored["state"].tolist() == ["COMPLETE"] * last + ["RUNNING"]
    assert_frame_equal(search_whole(registry_url), undisturbed)
    assert len(undisturbed) > 21


def test_a_repeated_search_adds_nothing(registry_url: str, undisturbed: pd.DataFrame) -> None:
    assert_frame_equal(search_whole(registry_url), undisturbed)
    before = stored_trials(registry_url)
    assert_frame_equal(search_whole(registry_url), undisturbed)
    assert_frame_equal(stored_trials(registry_url), before)


def test_two_workers_share_the_trials_of_one_study(registry_url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        first, second = pool.map(search_whole, [registry_url] * 2)
    assert_frame_equal(first, second)
    stored = stored_trials(registry_url)
    assert set(stored["state"]) == {"COMPLETE"}
    assert stored["number"].tolist() == list(range(len(first) - 1))
    assert not stored.duplicated(["theta1", "theta2"]).any()
    assert first["origin"].value_counts()["grid"] == POLICY.grid_points**2
    tried = list(zip(first["theta1"], first["theta2"], strict=True))[1:]
    assert tried == list(zip(stored["theta1"], stored["theta2"], strict=True))


def test_a_living_worker_keeps_its_claim(registry_url: str) -> None:
    with open_trials(registry_url, STUDY) as one, open_trials(registry_url, STUDY) as two:
        assert one.claim(3, wait=False)
        assert not two.claim(3, wait=False)
        one.release(3)
        assert two.claim(3, wait=False)
    with open_trials(registry_url, STUDY) as three:
        assert three.claim(3, wait=False)


def test_altered_trials_are_refused(registry_url: str) -> None:
    search_whole(registry_url)
    with transaction(open_engine(registry_url)) as connection:
        connection.execute(sa.text("UPDATE theta.trial_values SET value = value + 0.01"))
    with pytest.raises(InputError, match="THETA_TRIALS_ALTERED"):
        search_whole(registry_url)


def test_tables_are_made_once_and_asked_for(postgres_url: str) -> None:
    with pytest.raises(InputError, match="database upgrade"), open_trials(postgres_url, STUDY):
        pass
    upgrade_trials(postgres_url)
    upgrade_trials(postgres_url)
    with open_trials(postgres_url, STUDY) as store:
        assert store.study.study_name == STUDY
    with transaction(open_engine(postgres_url)) as connection:
        tables = connection.execute(sa.text("SELECT table_schema FROM information_schema.tables")).scalars().all()
    assert "theta" in tables
    assert "public" not in tables


def test_a_server_that_does_not_answer_is_worth_another_try() -> None:
    with (
        pytest.raises(TransientError, match="DATABASE_SERVER_UNREACHABLE"),
        open_trials("postgresql://nobody@/none?host=/nowhere", STUDY),
    ):
        pass
