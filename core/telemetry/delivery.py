"""Delivers the outbox: in order, each message until its target has it, none held up by another (SPEC OBS-2)."""

from __future__ import annotations

import datetime
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import structlog

from core.config.observability_policy import Backoff
from core.config.observability_policy import Delivery as DeliveryPolicy
from core.config.slack_policy import SlackPolicy
from core.postgres import open_engine, transaction
from core.telemetry.message import Notification, compose
from core.telemetry.outbox_tables import DELIVERIES, DELIVERY_TARGETS, NOTIFICATIONS, Settled, Target
from core.telemetry.sender import Delivered, Outcome, Refused, Sender, Unanswered, Withheld

_LONGEST_ERROR: Final = 500
_MOST_DOUBLINGS: Final = 32
_uniform: Final = secrets.SystemRandom().uniform


def spaced(attempts: int, backoff: Backoff) -> float:
    """Seconds until the next try after `attempts` in vain: between half and all of the exponential backoff."""
    doubled = backoff.first_seconds * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)
    longest = min(doubled, backoff.max_seconds)
    return _uniform(longest / 2, longest)


@dataclass(frozen=True)
class _Waiting:
    """A delivery that is due."""

    identity: int
    target: Target
    attempts: int
    notification: Notification


class Delivery:
    """The duty that empties the outbox.

    A target is one watcher's at a time: its row is locked from before a message is sent until what became of it is
    written, so that watchers side by side keep the order and send nothing twice. A watcher that dies gives
    the row free with its session; the message it had just sent is sent again.

    Args:
        postgres_url: where the outbox is.
        senders: one for every target.
        words: slack_policy.yaml.
        environment: dev, stg or prod, named in every message.
        policy: limits and backoffs.
        log: gets one line a delivery or failure.
        stopping: asked before each message whether the watcher is to end.
    """

    def __init__(
        self,
        postgres_url: str,
        senders: Mapping[Target, Sender],
        words: SlackPolicy,
        environment: str,
        policy: DeliveryPolicy,
        log: structlog.stdlib.BoundLogger,
        stopping: Callable[[], bool],
    ) -> None:
        self._engine = open_engine(postgres_url)
        self._senders = senders
        self._words = words
        self._environment = environment
        self._policy = policy
        self._log = log
        self._stopping = stopping

    def run(self, now: datetime.datetime) -> None:
        """Send what is due, at most `most_per_pass` messages a target. Raises CoreError where PostgreSQL fails."""
        began = time.monotonic()
        for target in Target:
            for _ in range(self._policy.most_per_pass):
                elapsed = datetime.timedelta(seconds=time.monotonic() - began)
                if self._stopping() or not self._step(target, now + elapsed):
                    break

    def _step(self, target: Target, now: datetime.datetime) -> bool:
        """Send the oldest message that is due. False where none is, or the target takes none now."""
        with transaction(self._engine) as connection:
            state = _claim(connection, target, now)
            first = _due(connection, target, now, DELIVERIES.c.notification_id) if state is not None else None
            if state is None or first is None:
                return False
            outcome = self._send(connection, first, now)
            if isinstance(outcome, Unanswered) and outcome.retry_after is None:
                outcome = self._suspect(connection, first, outcome, now)
            if isinstance(outcome, Unanswered):
                self._wait(connection, target, state.unanswered + 1, outcome, now)
                return False
            if state.unanswered and not isinstance(outcome, Withheld):
                _update_target(connection, target, unanswered=0, last_error=None)
            return True

    def _suspect(
        self, connection: sa.Connection, first: _Waiting, outcome: Unanswered, now: datetime.datetime
    ) -> Outcome:
        """Whether the target is down or only this message finds no answer: another one, drawn by lot, tells."""
        attempts = first.attempts + 1
        if attempts < self._policy.suspect_after:
            return outcome
        while (other := _due(connection, first.target, now, sa.func.random(), but=first.identity)) is not None:
            answer = self._send(connection, other, now)
            if isinstance(answer, Unanswered):
                return answer
            if not isinstance(answer, Withheld):
                self._put_off(connection, first, attempts, outcome.reason, now)
                return answer
        return outcome

    def _send(self, connection: sa.Connection, waiting: _Waiting, now: datetime.datetime) -> Outcome:
        """Send one message and write what became of it."""
        try:
            message = compose(waiting.notification, self._words, self._environment)
        except ValueError as error:
            outcome: Outcome = Refused(f"it cannot be worded: {error}")
        else:
            outcome = self._senders[waiting.target].send(message)
        attempts = waiting.attempts + 1
        match outcome:
            case Delivered():
                self._settle(connection, waiting, Settled.DELIVERED, now, None)
            case Withheld(reason):
                self._settle(connection, waiting, Settled.WITHHELD, now, reason)
            case Refused(reason):
                self._put_off(connection, waiting, attempts, reason, now)
            case Unanswered(reason):
                _update(connection, waiting, attempts=attempts, last_error=reason[:_LONGEST_ERROR])
        return outcome

    def _settle(
        self, connection: sa.Connection, waiting: _Waiting, how: Settled, now: datetime.datetime, reason: str | None
    ) -> None:
        _update(
            connection, waiting, attempts=waiting.attempts + 1, settled=how.value, settled_at=now, last_error=reason
        )
        self._log.info(f"notification_{how}", target=waiting.target.value, key=waiting.notification.key, reason=reason)

    def _put_off(
        self, connection: sa.Connection, waiting: _Waiting, attempts: int, reason: str, now: datetime.datetime
    ) -> None:
        """Try this message again later and let the others go first."""
        seconds = spaced(attempts, self._policy.refused)
        due = now + datetime.timedelta(seconds=seconds)
        _update(connection, waiting, attempts=attempts, next_attempt_at=due, last_error=reason[:_LONGEST_ERROR])
        about = {"target": waiting.target.value, "key": waiting.notification.key}
        self._log.error("notification_refused", **about, attempts=attempts, seconds=round(seconds), reason=reason)

    def _wait(
        self, connection: sa.Connection, target: Target, unanswered: int, outcome: Unanswered, now: datetime.datetime
    ) -> None:
        """Leave the target alone for a while."""
        seconds = max(spaced(unanswered, self._policy.outage), outcome.retry_after or 0.0)
        reason = outcome.reason[:_LONGEST_ERROR]
        due = now + datetime.timedelta(seconds=seconds)
        _update_target(connection, target, unanswered=unanswered, next_attempt_at=due, last_error=reason)
        self._log.warning("target_unanswered", target=target.value, times=unanswered, seconds=seconds, reason=reason)


def _claim(connection: sa.Connection, target: Target, now: datetime.datetime) -> sa.Row[Any] | None:
    """Lock the target; None where another watcher has it, or it is left alone for now."""
    table = DELIVERY_TARGETS.c
    query = sa.select(table.unanswered).where(table.target == target.value, table.next_attempt_at <= now)
    return connection.execute(query.with_for_update(skip_locked=True)).first()


def _due(
    connection: sa.Connection,
    target: Target,
    now: datetime.datetime,
    order: sa.ColumnElement[Any],
    but: int | None = None,
) -> _Waiting | None:
    """The first delivery in this order that waits and is due, leaving out the notification `but`."""
    table, posted = DELIVERIES.c, NOTIFICATIONS.c
    columns = (posted.event_id, posted.occurred_at, posted.key, posted.event, posted.fields)
    query = (
        sa.select(table.notification_id, table.attempts, *columns)
        .join_from(DELIVERIES, NOTIFICATIONS)
        .where(table.target == target.value, table.settled.is_(None), table.next_attempt_at <= now)
        .where(table.notification_id.is_distinct_from(but))
        .order_by(order)
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    identity, attempts, *facts = row
    return _Waiting(identity, target, attempts, Notification(*facts))


def _update(connection: sa.Connection, waiting: _Waiting, **values: Any) -> None:
    table = DELIVERIES.c
    here = (table.notification_id == waiting.identity, table.target == waiting.target.value)
    connection.execute(DELIVERIES.update().where(*here).values(**values))


def _update_target(connection: sa.Connection, target: Target, **values: Any) -> None:
    here = DELIVERY_TARGETS.c.target == target.value
    connection.execute(DELIVERY_TARGETS.update().where(here).values(**values))
