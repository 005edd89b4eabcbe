"""Where the gross result goes: spread and slippage, commission, swap."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from core.market.costs import costs_of
from core.market.pairs import Floats
from core.report.document import Chart, Section, Table
from core.report.material import Material
from core.report.style import AMBER, BLUE, GREEN, GREY, ORANGE, SKY, legend_above
from core.report.wording import number, share, usd

_NO_TRADE: Final = "No trade was made on the adoption window, so there is no cost to divide."
_PARTS: Final = ("move_usd", "spread_usd", "commission_usd", "swap_usd", "pnl_usd")


def costs_section(material: Material) -> Section:
    """The waterfall from gross to net, and each pair's part in it."""
    trades = cost_parts(material, material.trades_of("adoption"))
    return Section(
        "costs",
        "Costs",
        "Trades of the adoption window. Gross is the price move from open to open; each of the four fills pays half "
        "the quoted spread, slippage by the hour and commission, and every night held pays or earns swap.",
        charts=(_waterfall(trades), _pairs_chart(trades)),
        tables=(_table(trades),),
    )


def cost_parts(material: Material, trades: pd.DataFrame) -> pd.DataFrame:
    """Trades with `commission_usd` and `spread_usd` (spread, slippage and tick rounding), which add up to cost_usd.

    Commission is each leg's rate on its notional at both fills, the notional worked out from the lot's value at the
    decision, so that it is exact but for the drift of FX while the position is held.
    """
    if trades.empty:
        return trades.assign(commission_usd=0.0, spread_usd=0.0)
    keys = ["pair_id", "decided"]
    lots = material.candidates[[*keys, "lot_usd_a", "lot_usd_b"]].drop_duplicates(keys)
    decided = trades["timestamp_decision"].dt.as_unit("s").astype("int64")
    joined = trades.assign(decided=decided).merge(lots, on=keys, how="left", validate="many_to_one")
    commission = np.zeros(len(joined))
    for leg in "ab":
        rates = {
            pair.id: costs_of(material.cost_table, getattr(pair, leg)).commission_bp for pair in material.universe.pairs
        }
        rate = np.array([rates[pair_id] for pair_id in joined["pair_id"]], dtype=np.float64)
        commission += _leg_commission(joined, leg, rate)
    return joined.assign(commission_usd=commission, spread_usd=joined["cost_usd"] - commission)


def _leg_commission(trades: pd.DataFrame, leg: str, rate_bp: Floats) -> Floats:
    notional = (trades[f"qty_{leg}"].abs() * trades[f"lot_usd_{leg}"]).to_numpy(dtype=np.float64)
    fills = 1.0 + (trades[f"price_exit_{leg}"] / trades[f"price_entry_{leg}"]).to_numpy(dtype=np.float64)
    return np.asarray(rate_bp * 1e-4 * notional * fills, dtype=np.float64)


def _waterfall(trades: pd.DataFrame) -> Chart:
    title = "From gross to net"
    text = (
        "The first bar is what the price moves earned, the last what is left. The steps between are the costs; a "
        "small last bar under a tall first one is an edge that lives on its costs staying as they are."
    )
    if trades.empty:
        return Chart("costs-waterfall", title, text, absent=_NO_TRADE)
    gross, spread, commission, swap, net = (float(trades[name].sum()) for name in _PARTS)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        steps = [("gross", gross), ("spread,\nslippage", -spread), ("commission", -commission), ("swap", -swap)]
        level, drawn = 0.0, []
        for name, value in steps:
            drawn.append((name, level, value))
            level += value
        drawn.append(("net", 0.0, net))
        colours = [SKY, ORANGE, ORANGE, ORANGE if swap >= 0.0 else GREEN, BLUE]
        reach = max(abs(gross), abs(level), 1e-9) / 1e3
        for at, ((_, base, value), colour) in enumerate(zip(drawn, colours, strict=True)):
            axes.bar(at, value / 1e3, bottom=base / 1e3, color=colour, width=0.62, linewidth=0)
            top = max(base, base + value) / 1e3
            axes.annotate(
                number(value / 1e3, ",.1f"), (at, top), (0, 3), textcoords="offset points", ha="center", fontsize=8
            )
            if at < len(drawn) - 1:
                axes.plot([at + 0.31, at + 0.69], [(base + value) / 1e3] * 2, color=GREY, linewidth=0.7)
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        axes.set_xticks(range(len(drawn)), [name for name, _, _ in drawn])
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.08 * reach)
        axes.set_ylabel("thousand USD")
        axes.grid(visible=False, axis="x")

    return Chart("costs-waterfall", title, text, height=3.1, draw=draw)


def _pairs_chart(trades: pd.DataFrame) -> Chart:
    title = "Gross and net by pair"
    text = (
        "For each pair what its moves earned (ring) and what is left after costs (dot). Pairs whose dot is left of 0 "
        "lose money; where ring and dot lie far apart, costs decide."
    )
    if trades.empty:
        return Chart("costs-pairs", title, text, absent=_NO_TRADE)
    sums = trades.groupby("pair_id")[["move_usd", "pnl_usd"]].sum().sort_values("pnl_usd") / 1e3

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        at = np.arange(len(sums))
        axes.axvline(0.0, color=GREY, linewidth=0.9)
        axes.hlines(at, sums["pnl_usd"], sums["move_usd"], color=AMBER, linewidth=1.6)
        axes.plot(sums["move_usd"], at, "o", mfc="white", mec=GREY, label="gross")
        axes.plot(sums["pnl_usd"], at, "o", color=BLUE, label="net")
        axes.set_yticks(at, list(sums.index))
        axes.set_ylim(-0.6, len(sums) - 0.4)
        axes.set_xlabel("thousand USD")
        axes.grid(visible=False, axis="y")
        legend_above(axes)

    return Chart("costs-pairs", title, text, height=max(2.0, 1.1 + 0.2 * len(sums)), draw=draw)


def _table(trades: pd.DataFrame) -> Table:
    header = ("Pair", "Trades", "Gross", "Spread, slippage", "Commission", "Swap", "Net", "Costs / gross")
    rows: tuple[tuple[str, ...], ...] = ()
    if not trades.empty:
        sums = trades.groupby("pair_id")[list(_PARTS)].sum()
        counts = trades["pair_id"].value_counts()
        listed = [(str(name), int(counts[name]), sums.loc[name]) for name in sums.index]
        rows = tuple(_row(*each) for each in [*listed, ("All pairs", len(trades), sums.sum())])
    text = "USD. Positive swap is paid. Costs are spread, slippage, commission and swap together."
    return Table("Costs by pair", header, rows, text=text, absent=_NO_TRADE)


def _row(name: str, many: int, sums: pd.Series) -> tuple[str, ...]:
    gross, spread, commission, swap, net = (float(sums[part]) for part in _PARTS)
    ratio = share((spread + commission + swap) / gross, 0) if gross > 0.0 else "no gross gain"
    return name, f"{many:,}", usd(gross), usd(spread), usd(commission), usd(swap), usd(net), ratio
