"""Every position a start could become, with fills and results per lot: nothing in it depends on θ or on capital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.backtest.daily_marks import DailyMarks, swap_nights
from core.backtest.legs import Fills, LegMarket, LegResults, price_leg
from core.config.core_policy import Decision, Label
from core.errors import InputError
from core.features.table import FeatureTable
from core.labels.exits import PositionPaths, SpreadShift, scan_paths
from core.market.pairs import Floats, Ints, PairBars

NEVER = np.iinfo(np.int64).min
"""A moment before all others: |z| was not yet seen below the entry limit."""
TRADABLE: Final = -1
UNTRADABLE: Final = ("outside_hours", "conversion_missing", "conversion_stale", "no_tradable_bar")
"""Why a start can be no position: its own bar lies outside the trading hours of a leg or was filled in, a leg has no
price to USD yet or only one that is too old, no bar trades within the horizon."""


@dataclass(frozen=True)
class Predictions:
    """Out-of-sample predictions of one pair's starts, arrays (m,) in time order.

    `ts` is the decision bar's open, epoch seconds UTC; `risk_event` AI2's label (NaN where cut off); `scale` the
    position scale of the predicted excursion.
    """

    ts: Ints
    z: Floats
    return_prob: Floats
    risk_score: Floats
    scale: Floats
    risk_event: Floats


@dataclass(frozen=True)
class PairMarket:
    """What a pair's candidates are priced with.

    A bar of `bars` trades when neither leg is filled. `shift` is how far the prices, once moved, have taken the spread
    away from what the features say.
    """

    bars: PairBars
    table: FeatureTable
    leg_a: LegMarket
    leg_b: LegMarket
    shift: SpreadShift | None = None


@dataclass(frozen=True)
class Delays:
    """How many tradable bars later than the next tradable open each fill of a start comes: int64 (m,), ≥ 0."""

    entry_a: Ints
    entry_b: Ints
    exit_a: Ints
    exit_b: Ints

    @classmethod
    def none(cls, count: int) -> Delays:
        """No fill late."""
        zero = np.zeros(count, dtype=np.int64)
        return cls(zero, zero, zero, zero)


@dataclass(frozen=True)
class Candidates:
    """Candidate positions of all pairs, arrays (m,) ordered by decision moment, then by pair.

    `pairs` names the pairs; `pair` (int64) indexes it. Moments are epoch seconds UTC: `ts` the decision bar's open,
    `decided` its close, `entry_ts` the first and `exit_ts` the last fill of its legs, `exit_decided` the close at which
    the exit was decided, `below` the newest close up to `decided` at which |z| < z_entry was seen (NEVER when not yet),
    `horizon` the close at which the window of the labels ends (no later than the data). `reason` is an `ExitReason`; a
    position the data cut off is closed at the last tradable close there is. `weight_*` are signed shares of gross.
    Money is USD per lot traded in the leg's direction (see LegResults); `mark_a`, `mark_b` are flat, sliced by
    `mark_start` (m + 1,), the first of a candidate standing at grid position `mark_first`.
    """

    pairs: tuple[str, ...]
    pair: Ints
    ts: Ints
    decided: Ints
    below: Ints
    horizon: Ints
    z: Floats
    return_prob: Floats
    risk_score: Floats
    scale: Floats
    risk_event: Floats
    weight_a: Floats
    weight_b: Floats
    entry_ts: Ints
    exit_decided: Ints
    exit_ts: Ints
    reason: NDArray[np.int8]
    lot_usd_a: Floats
    lot_usd_b: Floats
    entry_price_a: Floats
    entry_price_b: Floats
    exit_price_a: Floats
    exit_price_b: Floats
    move_a: Floats
    move_b: Floats
    cost_a: Floats
    cost_b: Floats
    swap_a: Floats
    swap_b: Floats
    mark_first: Ints
    mark_start: Ints
    mark_a: Floats
    mark_b: Floats

    def __len__(self) -> int:
        return int(self.ts.shape[0])


def build_candidates(
    market: PairMarket,
    predictions: Predictions,
    marks: DailyMarks,
    label: Label,
    decision: Decision,
    *,
    stale_seconds: int,
    delays: Delays | None = None,
) -> Candidates:
    """Candidates of one pair.

    A start has none when no tradable bar follows it within the horizon, when its own bar is not tradable, or when at
    its bar the price that converts a leg to USD is older than `stale_seconds` (SPEC SRV-2: no order without fresh FX).

    Args:
        market: bars, features and legs of the pair.
        predictions: its starts; each must be a bar of the pair.
        marks: daily marks covering all bars.
        label, decision: exit rules.
        stale_seconds: oldest conversion price an order may be sized with.
        delays: fills that come late, one row a prediction; decisions stay as they are. None: every fill at the next
            tradable open. A leg whose exit would come before its entry is bought and sold at the same open; an entry
            later than its segment fills at the segment's last tradable open.

    Raises:
        InputError: BACKTEST_INPUT_BAR when a predicted start is no bar of the pair.
    """
    bars = market.bars
    starts = _locate(bars, predictions.ts)
    paths = scan_paths(bars, market.table, starts, label, decision, market.shift)
    kept = np.flatnonzero(_untradable(market, paths, stale_seconds) == TRADABLE)
    fills_a, fills_b = _fills(bars, paths, kept, marks, delays or Delays.none(starts.size))
    length = bars.timeframe_seconds
    legs = tuple(
        price_leg(leg, weight[kept], fills, swap_nights(marks, leg.costs.triple_swap_weekday))
        for leg, weight, fills in (
            (market.leg_a, paths.weight_a, fills_a),
            (market.leg_b, paths.weight_b, fills_b),
        )
    )
    entry_ts = np.minimum(fills_a.entry_ts, fills_b.entry_ts)
    exit_ts = np.maximum(fills_a.exit_ts, fills_b.exit_ts)
    cut = fills_a.exit_at_close | fills_b.exit_at_close
    decided_exit = np.where(cut, exit_ts, bars.ts[paths.exit_decision[kept]] + length)
    reason = np.where(cut, np.int8(0), paths.reason[kept]).astype(np.int8)
    start = paths.start[kept]
    return _assemble(
        (bars.pair_id,),
        predictions,
        kept,
        {
            "pair": np.zeros(kept.size, dtype=np.int64),
            "decided": bars.ts[start] + length,
            "below": _last_below(market.table.column("z"), bars.ts + length, label.ai1.z_entry)[start],
            "horizon": bars.ts[np.minimum(start + label.ai1.horizon_bars, len(bars) - 1)] + length,
            "weight_a": paths.weight_a[kept],
            "weight_b": paths.weight_b[kept],
            "entry_ts": entry_ts,
            "exit_decided": decided_exit,
            "exit_ts": exit_ts,
            "reason": reason,
            "mark_first": np.searchsorted(marks.ts, entry_ts, side="right").astype(np.int64),
            "mark_start": fills_a.mark_start,
        },
        legs,
    )


def untradable_starts(
    market: PairMarket, ts: Ints, label: Label, decision: Decision, *, stale_seconds: int
) -> NDArray[np.int8]:
    """Why each start opening at `ts` (m,) has no candidate, the first that holds: places in UNTRADABLE, or TRADABLE.

    Raises InputError as `build_candidates` does.
    """
    paths = scan_paths(market.bars, market.table, _locate(market.bars, ts), label, decision, market.shift)
    return _untradable(market, paths, stale_seconds)


def pool_candidates(parts: Sequence[Candidates]) -> Candidates:
    """Candidates of several pairs in one order: by decision moment, then by the order of the parts."""
    pairs = tuple(pair for part in parts for pair in part.pairs)
    offsets = np.cumsum([0, *(len(part.pairs) for part in parts)])[:-1]
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Candidates)
        if field.name not in {"pairs", "pair", "mark_start"}
    }
    joined["pair"] = np.concatenate([part.pair + offset for part, offset in zip(parts, offsets, strict=True)])
    counts = np.concatenate([np.diff(part.mark_start) for part in parts])
    order = np.lexsort((joined["pair"], joined["decided"]))
    begin = np.concatenate(([0], np.cumsum(counts)))
    flat = _ranges(begin[:-1][order], counts[order])
    marks = {name: joined.pop(name)[flat] for name in ("mark_a", "mark_b")}
    ordered = {name: values[order] for name, values in joined.items()}
    return Candidates(pairs=pairs, mark_start=np.concatenate(([0], np.cumsum(counts[order]))), **marks, **ordered)


def _untradable(market: PairMarket, paths: PositionPaths, stale_seconds: int) -> NDArray[np.int8]:
    ages = np.stack([leg.usd_age[paths.start] for leg in (market.leg_a, market.leg_b)])
    causes = {
        "outside_hours": market.bars.filled[paths.start] != 0,
        "conversion_missing": (ages < 0).any(axis=0),
        "conversion_stale": (ages > stale_seconds).any(axis=0),
        "no_tradable_bar": paths.entry < 0,
    }
    found = np.full(paths.start.shape, TRADABLE, dtype=np.int8)
    for place, name in reversed(list(enumerate(UNTRADABLE))):
        found[causes[name]] = place
    return found


def _assemble(
    pairs: tuple[str, ...],
    predictions: Predictions,
    kept: Ints,
    arrays: dict[str, NDArray[np.generic]],
    legs: tuple[LegResults, ...],
) -> Candidates:
    predicted = {field.name: getattr(predictions, field.name)[kept] for field in fields(Predictions)}
    money = {
        f"{name}_{letter}": getattr(leg, name)
        for letter, leg in zip("ab", legs, strict=True)
        for name in ("lot_usd", "entry_price", "exit_price", "move", "cost", "swap")
    }
    return Candidates(pairs=pairs, mark_a=legs[0].marks, mark_b=legs[1].marks, **predicted, **money, **arrays)  # type: ignore[arg-type]


def _locate(bars: PairBars, ts: Ints) -> Ints:
    found = np.searchsorted(bars.ts, ts)
    missing = (found >= len(bars)) | (bars.ts[np.minimum(found, len(bars) - 1)] != ts)
    if np.any(missing):
        first = int(ts[np.flatnonzero(missing)[0]])
        raise InputError(
            "BACKTEST_INPUT_BAR",
            f"{int(missing.sum())} predicted starts of {bars.pair_id} are no bars of the pair",
            where=f"{bars.pair_id}, bar opening at epoch second {first}",
            remedy="predictions and bars must come from the same run; run train and backtest again",
        )
    return found.astype(np.int64)


def _fills(bars: PairBars, paths: PositionPaths, kept: Ints, marks: DailyMarks, delays: Delays) -> tuple[Fills, Fills]:
    """Both legs' fills; where the data ends first, the exit is the last tradable close of the segment."""
    length = bars.timeframe_seconds
    tradable = np.flatnonzero(bars.filled == 0)
    entry, exit_bar = paths.entry[kept], paths.exit[kept]
    rank = np.cumsum(bars.filled == 0) - 1
    last = rank[np.searchsorted(bars.segment, bars.segment[entry], side="right") - 1]
    spans = []
    for wait_in, wait_out in ((delays.entry_a, delays.exit_a), (delays.entry_b, delays.exit_b)):
        into = np.minimum(rank[entry] + wait_in[kept], last)
        out = np.maximum(np.where(exit_bar < 0, last + 1, rank[exit_bar] + wait_out[kept]), into)
        cut = out > last
        into_bar, out_bar = tradable[into], tradable[np.minimum(out, last)]
        spans.append((into_bar, out_bar, cut, bars.ts[into_bar], bars.ts[out_bar] + np.where(cut, length, 0)))
    entry_ts, exit_ts = np.minimum(spans[0][3], spans[1][3]), np.maximum(spans[0][4], spans[1][4])
    first = np.searchsorted(marks.ts, entry_ts, side="right")
    counts = np.searchsorted(marks.ts, exit_ts, side="right") - first
    index = _ranges(first, counts)
    held = (
        marks.ts[index],
        np.searchsorted(bars.ts, marks.ts[index] - length, side="right") - 1,
        index,
        np.concatenate(([0], np.cumsum(counts))),
    )
    leg_a, leg_b = (Fills(paths.start[kept], *span, *held) for span in spans)
    return leg_a, leg_b


def _last_below(z: Floats, closes: Ints, z_entry: float) -> Ints:
    """For each bar the newest close up to it with |z| < z_entry, NEVER before the first."""
    return np.maximum.accumulate(np.where(np.abs(z) < z_entry, closes, NEVER))


def _ranges(first: Ints, counts: Ints) -> Ints:
    """first[0], first[0]+1, … (counts[0] of them), first[1], …"""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total) - np.repeat(ends - counts, counts) + np.repeat(first, counts)
