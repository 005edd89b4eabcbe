"""The model registry in PostgreSQL (SPEC REG-1). The database itself enforces which status may follow which."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert

from core.errors import BlockedError, InputError
from core.postgres import open_engine, transaction
from core.stores.audit import Change, Tell, record_change
from core.stores.tables import CONFIG_CHANGES, MODEL_REGISTRY, ModelStatus

APPLIED: Final = "MODEL_APPLIED"
_DEPLOY_LOCK: Final = 7_305_221_002
_DECIDED_GOOD: Final = frozenset({ModelStatus.APPROVED, ModelStatus.DEPLOYED, ModelStatus.ROLLED_BACK})


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model and, once it is a candidate, never changes.

    Paths are relative to `models_root`. `metrics_json` holds the training metrics and the verdict's numbers.
    """

    model_version: str
    created_by: str
    dataset_index_path: str
    feature_schema_path: str
    model_ai1_path: str
    model_ai2_path: str
    model_ai3_path: str
    params_yaml_path: str
    metrics_json: Mapping[str, Any]
    theta1: float
    theta2: float
    code_hash: str
    data_hash: str
    seed: int


@dataclass(frozen=True)
class ModelEntry:
    """A row of the registry."""

    facts: ModelFacts
    status: ModelStatus
    created_at: datetime.datetime
    notes: str | None


@dataclass(frozen=True)
class DeployedModel:
    """The one model inference processes serve."""

    model_version: str
    theta1: float
    theta2: float


@dataclass(frozen=True)
class Deployment:
    """The deployed model and the moment it was applied (the database's clock, UTC)."""

    model: DeployedModel
    applied_at: datetime.datetime


class Registry:
    """Registers, judges and deploys models.

    Every method raises TransientError where PostgreSQL does not answer, and InputError where the schema is missing, the
    version is unknown or a rule of the registry forbids the step. Repeating a step that has been taken is harmless.
    """

    def __init__(self, postgres_url: str) -> None:
        self._engine = open_engine(postgres_url)

    def deployed(self) -> DeployedModel | None:
        """The deployed model, None when there is none."""
        with self._transaction() as connection:
            return _deployed(connection)

    def deployment(self) -> Deployment | None:
        """The deployed model with the moment it was applied, None when there is none."""
        applied_at = sa.select(sa.func.max(CONFIG_CHANGES.c.occurred_at)).where(CONFIG_CHANGES.c.event == APPLIED)
        with self._transaction() as connection:
            model = _deployed(connection)
            if model is None:
                return None
            when = connection.execute(applied_at.where(CONFIG_CHANGES.c.subject == model.model_version)).scalar_one()
        return Deployment(model, when)

    def find(self, model_version: str) -> ModelEntry | None:
        """A version's row, None when it is unknown."""
        query = MODEL_REGISTRY.select().where(MODEL_REGISTRY.c.model_version == model_version)
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return _entry(row) if row is not None else None

    def history(self) -> list[ModelEntry]:
        """All versions, newest first."""
        order = MODEL_REGISTRY.c.created_at.desc(), MODEL_REGISTRY.c.model_version.desc()
        with self._transaction() as connection:
            return [_entry(row) for row in connection.execute(MODEL_REGISTRY.select().order_by(*order))]

    def register_draft(self, facts: ModelFacts) -> ModelEntry:
        """Enter a version as draft, or replace the facts of a draft left by an earlier try.

        Raises InputError when the version is past being a draft with other facts: a version's content never changes.
        """
        values = asdict(facts)
        table = MODEL_REGISTRY.c
        query = insert(MODEL_REGISTRY).values(**values, status=ModelStatus.DRAFT.value)
        query = query.on_conflict_do_update(
            index_elements=[table.model_version], set_=values, where=table.status == ModelStatus.DRAFT.value
        )
        with self._transaction() as connection:
            connection.execute(query)
            entry = _locked(connection, facts.model_version)
        if entry.facts != facts:
            changed = [
                field.name for field in fields(facts) if getattr(facts, field.name) != getattr(entry.facts, field.name)
            ]
            raise InputError(
                "REGISTRY_MODEL_CONFLICT",
                f"the version is registered as {entry.status} with other values of {', '.join(changed)}",
                where=f"core.model_registry {facts.model_version}",
                remedy="a version is registered once; run the chain on new data, code or configuration",
            )
        return entry

    def register_candidate(self, model_version: str) -> None:
        """draft → candidate: the artifacts are complete and no fact changes any more."""
        with self._transaction() as connection:
            if _locked(connection, model_version).status is ModelStatus.DRAFT:
                _set_status(connection, model_version, ModelStatus.CANDIDATE)

    def record_verdict(self, model_version: str, *, approved: bool, notes: str, tell: Tell | None = None) -> None:
        """candidate → approved or rejected, with the reasons; `tell` where that is new.

        Raises InputError when the notes are empty, or when the opposite verdict stands.
        """
        target = ModelStatus.APPROVED if approved else ModelStatus.REJECTED
        with self._transaction() as connection:
            entry = _locked(connection, model_version)
            if entry.status is target or (approved and entry.status in _DECIDED_GOOD):
                return
            _set_status(connection, model_version, target, notes)
            if tell is not None:
                tell(connection)

    def was_deployed(self, model_version: str) -> bool:
        """Whether the version has ever been deployed."""
        query = sa.select(CONFIG_CHANGES.c.id).where(
            CONFIG_CHANGES.c.subject == model_version, CONFIG_CHANGES.c.event == APPLIED
        )
        with self._transaction() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def deploy(
        self,
        model_version: str,
        *,
        replaces: str | None,
        actor: str,
        reason: str,
        trace_id: str,
        tell: Tell | None = None,
    ) -> bool:
        """approved → deployed; the model deployed so far goes back to approved. Writes audit.config_changes with it.

        Args:
            model_version: the version to deploy.
            replaces: the version it was judged against, None when nothing was deployed then.
            actor, reason, trace_id: for the audit log.
            tell: run with the change, where it is one.

        Returns:
            False when the version was deployed already.

        Raises:
            BlockedError: another model than `replaces` is deployed by now, so the verdict compares with the wrong one.
        """
        with self._transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_DEPLOY_LOCK)))
            entry = _locked(connection, model_version)
            current = _deployed(connection)
            if current is not None and current.model_version == model_version:
                return False
            require_judged_against(current, replaces)
            if current is not None:
                _set_status(connection, current.model_version, ModelStatus.APPROVED)
            _set_status(connection, model_version, ModelStatus.DEPLOYED)
            after = DeployedModel(model_version, entry.facts.theta1, entry.facts.theta2)
            before = asdict(current) if current is not None else None
            record_change(connection, Change(APPLIED, actor, model_version, before, asdict(after), reason, trace_id))
            if tell is not None:
                tell(connection)
        return True

    def beyond(self, kept: int) -> list[str]:
        """Versions whose artifacts may go: all but the newest `kept`, the deployed one and the one it replaced."""
        versions = [entry.facts.model_version for entry in self.history()]
        query = sa.select(CONFIG_CHANGES.c.before).where(CONFIG_CHANGES.c.event == APPLIED)
        with self._transaction() as connection:
            deployed = _deployed(connection)
            last = connection.execute(query.order_by(CONFIG_CHANGES.c.id.desc()).limit(1)).scalar()
        protected = {last["model_version"]} if last else set()
        if deployed is not None:
            protected.add(deployed.model_version)
        return [version for version in versions[kept:] if version not in protected]

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with transaction(self._engine) as connection:
                yield connection
        except exc.IntegrityError as error:
            message = getattr(getattr(error.orig, "diag", None), "message_primary", None)
            raise InputError(
                "REGISTRY_RULE_VIOLATED",
                f"the registry refuses the step: {message or error.orig}",
                where="core.model_registry",
                remedy="look at the version with `python -m tasks registry show`",
            ) from error


def require_judged_against(deployed: DeployedModel | None, replaces: str | None) -> None:
    """Raise BlockedError unless the deployed model is the one a verdict compared with."""
    now = deployed.model_version if deployed is not None else None
    if now != replaces:
        raise BlockedError(
            "REGISTRY_DEPLOYED_MOVED",
            f"the verdict compares with {replaces or 'no model'}, but {now or 'no model'} is deployed by now",
            where="core.model_registry",
            remedy="run the chain again on the newest data, so that the version is judged against the deployed model",
        )


def _deployed(connection: sa.Connection) -> DeployedModel | None:
    table = MODEL_REGISTRY.c
    query = sa.select(table.model_version, table.theta1, table.theta2)
    row = connection.execute(query.where(table.status == ModelStatus.DEPLOYED.value)).first()
    return DeployedModel(*row) if row is not None else None


def _locked(connection: sa.Connection, model_version: str) -> ModelEntry:
    query = MODEL_REGISTRY.select().where(MODEL_REGISTRY.c.model_version == model_version).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise InputError(
            "REGISTRY_MODEL_UNKNOWN",
            "no such version is registered",
            where=f"core.model_registry {model_version}",
            remedy="list the versions with `python -m tasks registry list`",
        )
    return _entry(row)


def _set_status(connection: sa.Connection, model_version: str, status: ModelStatus, notes: str | None = None) -> None:
    values: dict[str, str] = {"status": status.value}
    if notes is not None:
        values["notes"] = notes
    connection.execute(MODEL_REGISTRY.update().where(MODEL_REGISTRY.c.model_version == model_version).values(**values))


def _entry(row: sa.Row[Any]) -> ModelEntry:
    values = row._mapping
    facts = ModelFacts(**{field.name: values[field.name] for field in fields(ModelFacts)})
    return ModelEntry(facts, ModelStatus(values["status"]), values["created_at"], values["notes"])
