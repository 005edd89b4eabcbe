"""The trials of the θ search in PostgreSQL: Optuna's own tables in the schema `theta` (SPEC TH-3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from core.errors import InputError
from core.postgres import database_errors, open_lock_engine

SCHEMA: Final = "theta"
_NUMBERING: Final = -1
_TABLES_LOCK: Final = 7_305_221_003


class PostgresTrials:
    """One study that several workers may share, on any machines.

    A claim is an advisory lock of this worker's own session: PostgreSQL lets go of it when the worker dies, and for no
    other reason, so a trial is neither valued twice nor left lying by a killed search.
    """

    def __init__(self, study: optuna.Study, session: sa.Connection) -> None:
        self._study, self._session = study, session
        digest = hashlib.sha256(study.study_name.encode()).digest()
        self._key = int.from_bytes(digest[:4], "big", signed=True)

    @property
    def name(self) -> str:
        return f"study {self._study.study_name} in schema {SCHEMA}"

    @property
    def study(self) -> optuna.Study:
        return self._study

    @contextmanager
    def numbering(self) -> Iterator[None]:
        """Hold while a trial is chosen or added: one worker at a time."""
        self.claim(_NUMBERING, wait=True)
        try:
            yield
        finally:
            self.release(_NUMBERING)

    def claim(self, number: int, *, wait: bool) -> bool:
        """Claim a trial; False where another worker holds it and `wait` is not set."""
        if wait:
            self._call(sa.func.pg_advisory_lock(self._key, number))
            return True
        return bool(self._call(sa.func.pg_try_advisory_lock(self._key, number)))

    def release(self, number: int) -> None:
        """Give a claim back."""
        self._call(sa.func.pg_advisory_unlock(self._key, number))

    def _call(self, function: sa.Function[object]) -> object:
        return self._session.execute(sa.select(function)).scalar()


@contextmanager
def open_trials(postgres_url: str, study_name: str) -> Iterator[PostgresTrials]:
    """The study of that name, made at its first use.

    Raises:
        TransientError: the server cannot be reached or went away.
        InputError: credentials or database are wrong, the tables are missing, or they are another Optuna version's.
    """
    engine = _engine(postgres_url)
    with _errors(engine.url), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        if not session.execute(sa.select(sa.func.to_regclass(f"{SCHEMA}.alembic_version"))).scalar():
            raise InputError(
                "DATABASE_SCHEMA_MISSING",
                "the database has no tables for the trials of the θ search",
                where="POSTGRES_URL",
                remedy="run `python -m tasks database upgrade` first",
            )
        storage = _storage(engine.url, create=False)
        try:
            study = optuna.create_study(
                storage=storage, study_name=study_name, direction="maximize", load_if_exists=True
            )
            yield PostgresTrials(study, session)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def upgrade_trials(postgres_url: str) -> None:
    """Create the schema `theta` with Optuna's tables, or bring them to its newest revision. Harmless when it is there.

    Raises TransientError and InputError as `open_trials` does.
    """
    engine = _engine(postgres_url)
    with _errors(engine.url), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        session.execute(sa.select(sa.func.pg_advisory_lock(_TABLES_LOCK)))
        session.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        storage = _storage(engine.url, create=True)
        if storage.get_current_version() != storage.get_head_version():
            storage.upgrade()
        storage.engine.dispose()


def _engine(postgres_url: str) -> sa.Engine:
    """An engine whose sessions look into the schema first."""
    return open_lock_engine(postgres_url, f"-csearch_path={SCHEMA}")


def _storage(url: sa.URL, *, create: bool) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return RDBStorage(
        url.render_as_string(hide_password=False), skip_compatibility_check=create, skip_table_creation=not create
    )


@contextmanager
def _errors(url: sa.URL) -> Iterator[None]:
    """Optuna's wrapping of the driver's errors taken off, then turned into ours."""
    with database_errors(url):
        try:
            yield
        except StorageInternalError as error:
            if isinstance(error.__cause__, sa.exc.SQLAlchemyError):
                raise error.__cause__ from error
            raise
