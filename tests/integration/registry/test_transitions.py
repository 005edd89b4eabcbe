"""Whatever anybody writes, by whatever order of INSERT and UPDATE, the registry obeys its rules."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from psycopg.types.json import Jsonb

from core.stores.tables import TRANSITIONS, ModelStatus
from tests.integration.registry.facts import model_facts

STATUSES = st.sampled_from(list(ModelStatus))
NUMBERS = st.integers(0, 1)
NOTES = st.sampled_from(["a reason", "another", None, " \n"])
WAYS: dict[ModelStatus, list[ModelStatus]] = {
    ModelStatus.DRAFT: [],
    ModelStatus.CANDIDATE: [ModelStatus.CANDIDATE],
    ModelStatus.APPROVED: [ModelStatus.CANDIDATE, ModelStatus.APPROVED],
    ModelStatus.REJECTED: [ModelStatus.CANDIDATE, ModelStatus.REJECTED],
    ModelStatus.DEPLOYED: [ModelStatus.CANDIDATE, ModelStatus.APPROVED, ModelStatus.DEPLOYED],
    ModelStatus.ROLLED_BACK: [
        ModelStatus.CANDIDATE,
        ModelStatus.APPROVED,
        ModelStatus.DEPLOYED,
        ModelStatus.ROLLED_BACK,
    ],
}
NEEDS_NOTES = set(ModelStatus) - {ModelStatus.DRAFT, ModelStatus.CANDIDATE}


class RegistryRules(RuleBasedStateMachine):
    """Raw SQL beside a plain model of the rules."""

    connection: psycopg.Connection[Any]

    @initialize()
    def empty(self) -> None:
        with self.connection.transaction():
            self.connection.execute("SET session_replication_role = replica")
            self.connection.execute("TRUNCATE core.model_registry")
            self.connection.execute("SET session_replication_role = origin")
        self.known: dict[int, tuple[ModelStatus, str | None]] = {}

    def _allowed(self, query: str, values: Any) -> bool:
        try:
            with self.connection.transaction():
                self.connection.execute(query, values)
        except psycopg.errors.IntegrityError:
            return False
        return True

    @rule(number=NUMBERS, status=STATUSES, notes=NOTES)
    def insert(self, number: int, status: ModelStatus, notes: str | None) -> None:
        values = {**model_facts(number).__dict__, "status": status.value, "notes": notes}
        values["metrics_json"] = Jsonb(values["metrics_json"])
        columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
        allowed = self._allowed(f"INSERT INTO core.model_registry ({columns}) VALUES ({places})", values)  # noqa: S608
        assert allowed == (number not in self.known and status is ModelStatus.DRAFT)
        if allowed:
            self.known[number] = (status, notes)

    @rule(number=NUMBERS, status=STATUSES, notes=NOTES)
    def update(self, number: int, status: ModelStatus, notes: str | None) -> None:
        version = model_facts(number).model_version
        query = "UPDATE core.model_registry SET status = %s, notes = %s WHERE model_version = %s"
        allowed = self._allowed(query, (status.value, notes, version))
        if number not in self.known:
            return
        before = self.known[number][0]
        others = [other for key, (other, _) in self.known.items() if key != number]
        assert allowed == (
            (status is before or status in TRANSITIONS[before])
            and (status not in NEEDS_NOTES or bool(notes and notes.strip()))
            and (status is not ModelStatus.DEPLOYED or ModelStatus.DEPLOYED not in others)
        )
        if allowed:
            self.known[number] = (status, notes)

    @rule(number=NUMBERS)
    def change_a_fact(self, number: int) -> None:
        version = model_facts(number).model_version
        query = "UPDATE core.model_registry SET theta1 = theta1 * 0.9 WHERE model_version = %s"
        allowed = self._allowed(query, (version,))
        assert allowed == (number not in self.known or self.known[number][0] is ModelStatus.DRAFT)

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        version = model_facts(number).model_version
        allowed = self._allowed("DELETE FROM core.model_registry WHERE model_version = %s", (version,))
        assert allowed == (number not in self.known or self.known[number][0] is ModelStatus.DRAFT)
        if allowed:
            self.known.pop(number, None)

    @invariant()
    def the_table_is_as_expected(self) -> None:
        if not hasattr(self, "known"):
            return
        rows = self.connection.execute("SELECT model_version, status, notes FROM core.model_registry").fetchall()
        expected = {(model_facts(key).model_version, status, notes) for key, (status, notes) in self.known.items()}
        assert set(rows) == expected
        assert sum(status == ModelStatus.DEPLOYED for _, status, _ in rows) <= 1


def _insert_draft(connection: psycopg.Connection[Any]) -> None:
    values = {**model_facts(1).__dict__, "status": "draft"}
    values["metrics_json"] = Jsonb(values["metrics_json"])
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    connection.execute(f"INSERT INTO core.model_registry ({columns}) VALUES ({places})", values)  # noqa: S608


def test_exactly_the_listed_transitions_are_possible(registry_url: str) -> None:
    update = "UPDATE core.model_registry SET status = %s, notes = 'a reason'"
    with psycopg.connect(registry_url) as connection:
        for before, way in WAYS.items():
            for after in ModelStatus:
                _insert_draft(connection)
                for step in way:
                    connection.execute(update, (step,))
                possible = before is after or after in TRANSITIONS[before]
                try:
                    connection.execute(update, (after,))
                except psycopg.errors.IntegrityError:
                    assert not possible, (before, after)
                else:
                    assert possible, (before, after)
                connection.rollback()


def test_no_order_of_writes_breaks_the_rules(registry_url: str) -> None:
    with psycopg.connect(registry_url, autocommit=True) as connection:
        RegistryRules.connection = connection
        run_state_machine_as_test(
            RegistryRules,
            settings=settings(
                max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


@pytest.mark.parametrize("table", ["audit.config_changes", "audit.retrain_runs"])
@pytest.mark.parametrize("query", ["UPDATE {} SET trace_id = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_a_log_is_append_only(registry_url: str, table: str, query: str) -> None:
    with (
        psycopg.connect(registry_url) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="append-only"),
    ):
        connection.execute(query.format(table))


def test_the_registry_is_never_emptied(registry_url: str) -> None:
    with (
        psycopg.connect(registry_url) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="never emptied"),
    ):
        connection.execute("TRUNCATE core.model_registry")


@pytest.mark.parametrize(
    "column", ["theta1 = 'nan'", "theta2 = -0.1", "model_version = '../x'", "code_hash = ''", "metrics_json = NULL"]
)
def test_a_draft_with_an_impossible_fact_is_refused(registry_url: str, column: str) -> None:
    with psycopg.connect(registry_url) as connection:
        _insert_draft(connection)
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(f"UPDATE core.model_registry SET {column}")  # noqa: S608
