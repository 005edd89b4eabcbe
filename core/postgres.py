"""Connections to PostgreSQL, and its failures in words a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from core.errors import InputError, TransientError

CONNECT_SECONDS: Final = 10
_SHORT_KEEPALIVE: Final = "-ctcp_keepalives_idle=10 -ctcp_keepalives_interval=5 -ctcp_keepalives_count=3"
_WRONG_ADDRESS: Final = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
_MISSING_TABLE: Final = frozenset({"42P01", "3F000"})
_READ_ONLY: Final = "25006"
_SESSION_ENDED: Final = frozenset({"25P03", "25P04"})
"""Time-outs of the server's own. What else passes by itself, classes 08, 40, 53, 57 and 58, is an OperationalError."""


def open_engine(postgres_url: str) -> sa.Engine:
    """An engine on psycopg 3 that keeps no connection open between uses.

    Args:
        postgres_url: a libpq URL ``postgresql://…``, a Unix socket's folder as ``?host=/folder``.

    Raises:
        InputError: the address is no URL.
    """
    try:
        url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg")
    except (exc.ArgumentError, ValueError) as error:
        raise _malformed("the PostgreSQL address is no URL") from error
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})


def open_lock_engine(postgres_url: str, options: str = "") -> sa.Engine:
    """An engine for sessions that hold advisory locks: PostgreSQL notices within half a minute when a machine vanishes.

    Args:
        postgres_url: as for `open_engine`, which says what is raised.
        options: further command-line options of the session, e.g. ``-csearch_path=theta``.
    """
    url = open_engine(postgres_url).url
    words = f"{url.query.get('options', '')} {options} {_SHORT_KEEPALIVE}".split()
    return open_engine(url.update_query_dict({"options": " ".join(words)}).render_as_string(hide_password=False))


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction: committed at the end of the block, rolled back by any exception.

    Raises:
        TransientError: the server cannot be reached, went away, or takes no writes.
        InputError: the credentials or the database are wrong, or the schema has not been created.
    """
    with database_errors(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def database_errors(url: sa.URL) -> Iterator[None]:
    """Turn the server's and the connection's errors into ours; a violated rule of the schema passes through."""
    address = url.difference_update_query(["password"]).render_as_string(hide_password=True)
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError) as error:
        text = " ".join(str(error.orig).split())
        if any(words in text for words in _WRONG_ADDRESS):
            raise InputError(
                "DATABASE_ADDRESS_REFUSED",
                f"PostgreSQL refused the connection: {text}",
                where=address,
                remedy="correct user, password and database name in POSTGRES_URL",
            ) from error
        raise _unreachable(text, address) from error
    except exc.InternalError as error:
        text, sqlstate = " ".join(str(error.orig).split()), getattr(error.orig, "sqlstate", None)
        if sqlstate in _SESSION_ENDED:
            raise _unreachable(text, address) from error
        if sqlstate != _READ_ONLY:
            raise
        raise TransientError(
            "DATABASE_SERVER_READ_ONLY",
            f"PostgreSQL takes no writes: {text}",
            where=address,
            remedy="wait for the failover to end, or name the primary in POSTGRES_URL; then run the same command again",
        ) from error
    except exc.ProgrammingError as error:
        if "connection option" in str(error.orig):
            raise _malformed(f"the PostgreSQL address is unusable: {error.orig}") from error
        if getattr(error.orig, "sqlstate", None) not in _MISSING_TABLE:
            raise
        raise InputError(
            "DATABASE_SCHEMA_MISSING",
            "the database has no tables of ours",
            where=address,
            remedy="run `python -m tasks database upgrade` first",
        ) from error


def _unreachable(text: str, address: str) -> TransientError:
    return TransientError(
        "DATABASE_SERVER_UNREACHABLE",
        f"PostgreSQL does not answer: {text}",
        where=address,
        remedy="check that the server runs and that POSTGRES_URL names it, then run the same command again",
    )


def _malformed(message: str) -> InputError:
    return InputError(
        "DATABASE_ADDRESS_MALFORMED",
        message,
        where="POSTGRES_URL",
        remedy="set POSTGRES_URL to postgresql://user:password@host:port/database",
    )
