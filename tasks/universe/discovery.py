"""From a folder of bars to the universe and costs to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from core.config.cost_table import CostTable
from core.config.settings import Settings
from core.config.sources import FileLayout, FileProvider
from core.config.universe import Calendar, Pair, Symbol
from core.errors import InputError
from core.market.bars import PRICE_COLUMNS, epoch_seconds
from core.market.discovery.contracts import ContractGuess, guess_contract, guess_price_scale, guess_tick_size
from core.market.discovery.hours import guess_closures, guess_week, never_closes
from core.market.discovery.proposals import enough_pairs, propose_pairs
from core.market.timeframe import timeframe_seconds
from core.providers.file_import import FileImport
from tasks.universe.layout import FolderLayout

_MIN_NOTIONAL_USD: Final = 100.0
_SHORTEST: Final = pd.Timedelta(days=14)


@dataclass(frozen=True)
class Discovery:
    """What the configuration is written from; the strings are comments.

    `left_out` says why a symbol is not in it, `doubts` what of the layout is only a guess.
    """

    calendars: dict[str, tuple[Calendar, str]]
    symbols: dict[str, tuple[Symbol, str]]
    pairs: list[tuple[Pair, str]]
    costs: CostTable
    guessed: list[str]
    left_out: dict[str, str]
    layout: FileLayout
    doubts: tuple[str, ...]


def discover(folder: Path, found: FolderLayout, known: Settings) -> Discovery:
    """Read every file and guess what its name and bars allow; symbols and pairs of `known` keep their entries.

    Raises InputError naming the file and row where bars are invalid, and when no pair can be formed.
    """
    layout, bars = _read(folder, found)
    curated = {name: symbol for name, symbol in known.universe.symbols.items() if name in bars}
    contracts = {
        name: guess_contract(name, float(frame["close"].iloc[-1]))
        for name, frame in bars.items()
        if name not in curated
    }
    left_out = _inconvertible(curated, contracts)
    bars = {name: frame for name, frame in bars.items() if name not in left_out}
    contracts = {name: guess for name, guess in contracts.items() if name not in left_out}
    calendars, calendar_of = _calendars(bars, contracts, known, timeframe_seconds(found.timeframe))
    symbols = {
        name: (curated[name], "") if name in curated else _symbol(contracts[name], calendar_of[name], bars[name])
        for name in bars
    }
    overrides = {name: row for name, row in known.cost_table.overrides.items() if name in bars}
    return Discovery(
        calendars=calendars,
        symbols=symbols,
        pairs=_pairs(bars, known, folder, left_out),
        costs=CostTable(defaults=known.cost_table.defaults, overrides=overrides),
        guessed=[name for name in bars if name not in overrides],
        left_out=left_out,
        layout=layout,
        doubts=(*found.doubts, *_points(layout)),
    )


def _read(folder: Path, found: FolderLayout) -> tuple[FileLayout, dict[str, pd.DataFrame]]:
    """Bars of every symbol, and the layout with the scale of prices that are plainly whole points."""
    layout = found.layout
    bars = {symbol: _fetch(folder, layout, symbol, found) for symbol in found.symbols}
    powers = {symbol: guess_price_scale(symbol, frame["close"].to_numpy()) for symbol, frame in bars.items()}
    scaled = {symbol: power for symbol, power in powers.items() if power}
    if scaled:
        scales = {symbol: float(10**power) for symbol, power in scaled.items()}
        layout = layout.model_copy(update={"price_scale_overrides": scales, "price_decimals_overrides": scaled})
        bars |= {symbol: _fetch(folder, layout, symbol, found) for symbol in scaled}
    return layout, bars


def _points(layout: FileLayout) -> list[str]:
    scales = ", ".join(f"{symbol} ({scale:.0f})" for symbol, scale in sorted(layout.price_scale_overrides.items()))
    return [f"prices of {scales} are whole points and are divided by that number"] if scales else []


def _fetch(folder: Path, layout: FileLayout, symbol: str, found: FolderLayout) -> pd.DataFrame:
    """All bars of a symbol. Raises InputError where they are invalid, or too few to read trading hours from."""
    provider = FileProvider(kind="file", name="files", priority=1, root="import/bars", layout=layout)
    source = FileImport(provider, folder)
    frame = source.fetch(symbol, found.timeframe).frame
    if frame["ts"].iloc[-1] - frame["ts"].iloc[0] < _SHORTEST:
        raise InputError(
            "DATA_DISCOVERY_SHORT",
            f"the bars of {symbol} cover less than {_SHORTEST.days} days: trading hours cannot be read from them",
            where=str(source.path(symbol)),
            remedy="export a longer history, or take the file out of the folder",
        )
    return frame


def _inconvertible(curated: Mapping[str, Symbol], contracts: Mapping[str, ContractGuess]) -> dict[str, str]:
    legs = [(symbol.base, symbol.quote) for symbol in curated.values()]
    legs += [(guess.base, guess.quote) for guess in contracts.values()]
    quotes = {name: symbol.quote for name, symbol in curated.items()}
    quotes |= {name: guess.quote for name, guess in contracts.items()}
    return {
        name: f"no file converts its quote currency {quote} to USD; add {quote}USD or USD{quote} to the folder"
        for name, quote in quotes.items()
        if quote != "USD" and (quote, "USD") not in legs and ("USD", quote) not in legs
    }


def _calendars(
    bars: Mapping[str, pd.DataFrame], contracts: Mapping[str, ContractGuess], known: Settings, seconds: int
) -> tuple[dict[str, tuple[Calendar, str]], dict[str, str]]:
    curated = {known.universe.symbols[name].calendar for name in bars if name not in contracts}
    calendars = {name: (known.universe.calendars[name], "") for name in sorted(curated)}
    stamps = {name: epoch_seconds(bars[name]["ts"]) for name in bars if name in contracts}
    weeks: dict[str, tuple[Calendar, list[str]]] = {}
    for name, ts in stamps.items():
        week = guess_week(ts, seconds)
        weeks.setdefault(week.model_dump_json(), (week, []))[1].append(name)
    calendar_of: dict[str, str] = {}
    for number, (week, members) in enumerate(weeks.values(), start=1):
        always = never_closes(stamps[members[0]])
        label = f"{'always' if always else 'weekdays'}-{number}"
        closures = guess_closures(week, seconds, [stamps[name] for name in members])
        kind = "24x7" if always else "24x5"
        note = f"a guess: {kind}, read from the stamps of {', '.join(members)}; closures to come are yours to add"
        calendars[label] = (week.model_copy(update={"closures": closures}), note)
        calendar_of |= dict.fromkeys(members, label)
    return calendars, calendar_of


def _symbol(guess: ContractGuess, calendar: str, bars: pd.DataFrame) -> tuple[Symbol, str]:
    symbol = Symbol(
        base=guess.base,
        quote=guess.quote,
        calendar=calendar,
        tick_size=guess_tick_size(bars[list(PRICE_COLUMNS)].to_numpy(np.float64).ravel()),
        contract_size=guess.contract_size,
        lot_step=guess.lot_step,
        min_lot=guess.min_lot,
        min_notional_usd=_MIN_NOTIONAL_USD,
        margin_rate=guess.margin_rate,
    )
    return symbol, "; ".join(("a guess: tick from the prices, lot and margin from the kind of market", *guess.doubts))


def _pairs(
    bars: Mapping[str, pd.DataFrame], known: Settings, folder: Path, left_out: Mapping[str, str]
) -> list[tuple[Pair, str]]:
    pairs = [(pair, "") for pair in known.universe.pairs if pair.a in bars and pair.b in bars]
    taken = {frozenset((pair.a, pair.b)) for pair, _ in pairs}
    wanted = enough_pairs(len(bars))
    if len(pairs) < wanted:
        closes = {name: frame.set_index("ts")["close"] for name, frame in bars.items()}
        for proposal in propose_pairs(closes):
            if len(pairs) == wanted:
                break
            if frozenset((proposal.a, proposal.b)) not in taken:
                pair = Pair(id=f"{proposal.a}-{proposal.b}", a=proposal.a, b=proposal.b)
                pairs.append((pair, f"a guess: returns correlate {proposal.correlation:+.2f}"))
    if not pairs:
        raise InputError(
            "DATA_DISCOVERY_PAIRS",
            "; ".join(
                ("no two symbols share enough bars to make a pair", *(f"{n}: {why}" for n, why in left_out.items()))
            ),
            where=str(folder),
            remedy="add bars of other symbols over the same period",
        )
    return pairs
