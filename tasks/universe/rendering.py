"""Commented YAML of a discovered universe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from core.config.cost_table import Costs, CostTable
from core.config.sources import FileLayout
from core.config.universe import Calendar, Pair, Symbol

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./{} -]*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def flow(value: Any) -> str:
    """A value as YAML on one line; text that YAML could read as anything else is quoted."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not set("{} ") & set(value)
        return value if plain else json.dumps(value, ensure_ascii=False)
    return str(value)


def universe_yaml(
    calendars: Mapping[str, tuple[Calendar, str]],
    symbols: Mapping[str, tuple[Symbol, str]],
    pairs: Sequence[tuple[Pair, str]],
    left_out: Mapping[str, str],
) -> str:
    """universe.yaml; each entry comes with a comment, empty for none."""
    lines = [
        "# Symbols, their trading calendars and the pairs. Clock times are local to the calendar's timezone.",
        "# Written by `universe init`: check every line marked as a guess against your broker's contract terms.",
        "# A line without a mark is as shipped.",
        *(f"# Left out: {symbol}: {reason}" for symbol, reason in left_out.items()),
        "calendars:",
        "  value:",
    ]
    for name, (calendar, note) in calendars.items():
        lines += [f"    {flow(name)}:{_comment(note)}", f"      timezone: {flow(calendar.timezone)}", "      sessions:"]
        lines += _items(session.model_dump() for session in calendar.sessions)
        for key in ("daily_breaks", "closures"):
            entries = [entry.model_dump() for entry in getattr(calendar, key)]
            lines += [f"      {key}:", *_items(entries)] if entries else [f"      {key}: []"]
        lines.append(f"      edge_tolerance_bars: {calendar.edge_tolerance_bars}")
    lines += [
        "# tick_size: the price grid in quote currency; contract_size: units of base in one lot; margin_rate: share of",
        "# notional.",
        "symbols:",
        "  note: a price is `quote` currency per one unit of `base`",
        "  value:",
    ]
    lines += [
        f"    {flow(name)}: {flow(symbol.model_dump())}{_comment(note)}" for name, (symbol, note) in symbols.items()
    ]
    lines += ["pairs:", "  note: the spread of a pair is ln(a) − β·ln(b) − α", "  value:"]
    lines += [f"    - {flow(pair.model_dump())}{_comment(note)}" for pair, note in pairs]
    return "\n".join(lines) + "\n"


def cost_table_yaml(table: CostTable, guessed: Sequence[str]) -> str:
    """cost_table.yaml: `guessed` names the symbols that take the defaults."""
    lines = [
        "# What trading costs, in basis points of a leg's notional. Each fill pays half of spread_bp, slippage_bp",
        "# times the factor of its UTC hour, and commission_bp; every night held pays the swap of its side (negative:",
        "# paid, positive: earned), three nights' worth on triple_swap_weekday. An override replaces its symbol's row.",
    ]
    if guessed:
        lines.append(f"# A guess: the defaults, for {', '.join(guessed)}. Put in what your broker charges.")
    lines += ["defaults:", "  unit: bp", "  value:", *_costs(table.defaults), "overrides:", "  unit: bp"]
    if table.overrides:
        lines += ["  value:", *(f"    {flow(name)}: {flow(row.model_dump())}" for name, row in table.overrides.items())]
    else:
        lines.append("  value: {}")
    return "\n".join(lines) + "\n"


def sources_yaml(layout: FileLayout, doubts: Sequence[str]) -> str:
    """sources.yaml with one file provider."""
    lines = [
        "# Where bars come from: a folder below ARCHIVE_PATH; `ingest --data` names another one.",
        *(f"# A guess: {doubt}." for doubt in doubts),
        "providers:",
        "  value:",
        "    - kind: file",
        "      name: files",
        "      priority: 1",
        "      root: import/bars",
        "      layout:",
        *(f"        {key}: {flow(value)}" for key, value in layout.model_dump().items()),
    ]
    return "\n".join(lines) + "\n"


def _costs(costs: Costs) -> list[str]:
    return [f"    {key}: {flow(value)}" for key, value in costs.model_dump().items()]


def _items(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"        - {flow(entry)}" for entry in entries]


def _comment(note: str) -> str:
    return f" # {note}" if note else ""
