"""A signal as a journal or Redis recorded it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import ValidationError

from core.errors import InputError
from core.signals.signal import Signal, signal_id
from core.stores.bus import SIGNALS, Bus
from core.stores.journal import Journal
from tasks.context import TaskContext


@dataclass(frozen=True)
class RecordedSignal:
    """`body` is the record byte for byte; `bar_ts` the open of the bar decided on, epoch seconds UTC."""

    signal: Signal
    body: bytes
    found_in: str
    bar_ts: int
    run_id: str | None


def find_recorded(context: TaskContext, identity: str) -> RecordedSignal:
    """Look in every journal below journal_root, then in the Redis stream.

    Raises:
        InputError: it is no signal's id, nothing holds it, or what holds it is not the signal of this id.
        TransientError: a journal or Redis does not answer.
    """
    if re.fullmatch(r"[0-9a-f]{32}", identity) is None:
        raise _unknown(context, f"{identity!r} is not a signal's id, which has 32 hexadecimal digits")
    body, found_in = _find(context, identity)
    if body is None:
        raise _unknown(context, "no journal and no entry of the Redis stream holds this signal")
    try:
        signal = Signal.from_json(body)
    except ValidationError as error:
        raise _altered(identity, found_in, f"it is no signal: {' '.join(str(error).split())[:200]}") from error
    bar_ts, run_id = signal.metadata.get("bar_ts"), signal.metadata.get("run_id")
    if not isinstance(bar_ts, int) or signal_id(signal.pair_id, bar_ts, signal.model_version) != identity:
        raise _altered(identity, found_in, "its pair, bar and model do not give this id")
    return RecordedSignal(signal, body, found_in, bar_ts, run_id if isinstance(run_id, str) else None)


def _find(context: TaskContext, identity: str) -> tuple[bytes | None, str]:
    for path in sorted(context.roots.journal.glob("*.sqlite")):
        with Journal(path) as journal:
            body = journal.body(identity)
            if body is not None:
                return body, f"{path.name} ({journal.state(identity)})"
    return Bus(context.variables.redis_url).find_signal(identity), f"Redis stream {SIGNALS}"


def _unknown(context: TaskContext, message: str) -> InputError:
    return InputError(
        "EXPLAIN_SIGNAL_UNKNOWN",
        message,
        where=f"{context.roots.journal}/*.sqlite, Redis {SIGNALS}",
        remedy="check the id; a decision that was never sent is replayed with --model-version, --pair and --bar",
    )


def _altered(identity: str, found_in: str, why: str) -> InputError:
    return InputError(
        "EXPLAIN_RECORD_ALTERED",
        f"the record of the signal was altered: {why}",
        where=f"{found_in}, signal {identity}",
        remedy="replay the decision from its bar with --model-version, --pair and --bar",
    )
