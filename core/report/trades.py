"""The trades of the adoption window: how they end, how long they last, the newest, the best and the worst."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from core.report.document import Chart, Fact, Section, Table
from core.report.material import Material
from core.report.style import BLUE, GREY, ORANGE
from core.report.wording import NOT_COMPUTED, count, number, share, usd

_NO_TRADE: Final = "No trade was made on the adoption window."
_LISTED: Final = 10
_HEADER: Final = (
    "Decided (UTC)",
    "Pair",
    "Leg A",
    "z",
    "P(revert)",
    "Risk",
    "Hours",
    "Ended by",
    "Net, USD",
    "Net, bp",
)


def trades_section(material: Material) -> Section:
    """Facts, distributions and lists of the adoption window's trades."""
    trades = described(material.trades_of("adoption"))
    return Section(
        "trades",
        "Trades",
        "Trades of the adoption window at the θ in force. A result in basis points is of the position's gross, the "
        "sum of both legs' notional.",
        facts=_facts(trades),
        charts=(_results(trades), _holding(trades), _endings(trades)),
        tables=(
            _by_pair(trades),
            _listing("The newest trades", trades.iloc[::-1]),
            _listing("The best trades", trades.sort_values("pnl_usd", ascending=False, kind="stable")),
            _listing("The worst trades", trades.sort_values("pnl_usd", kind="stable")),
        ),
    )


def described(trades: pd.DataFrame) -> pd.DataFrame:
    """Trades with `hours` held and `net_bp` of their gross."""
    held = (trades["timestamp_exit"] - trades["timestamp_entry"]).dt.total_seconds() / 3600.0
    return trades.assign(hours=held, net_bp=trades["pnl_usd"] / trades["gross_usd"] * 1e4)


def _facts(trades: pd.DataFrame) -> tuple[Fact, ...]:
    if trades.empty:
        return (Fact("Trades", "0", _NO_TRADE),)
    gained = trades["pnl_usd"] > 0.0
    won, lost = trades.loc[gained, "net_bp"].mean(), trades.loc[~gained, "net_bp"].mean()
    earned, paid = trades.loc[gained, "pnl_usd"].sum(), -trades.loc[~gained, "pnl_usd"].sum()
    return (
        Fact("Trades", f"{len(trades):,}", f"{count(trades['pair_id'].nunique(), 'pair')} traded"),
        Fact("Gained", share(gained.mean()), f"{int(gained.sum()):,} of {len(trades):,}"),
        Fact("Mean net result", f"{number(trades['net_bp'].mean(), '.1f')} bp", _sides(won, lost)),
        Fact("Profit factor", number(earned / paid) if paid > 0.0 else "no losses", "gains / losses"),
        Fact(
            "Median time held", f"{number(trades['hours'].median(), '.0f')} h", f"longest {trades['hours'].max():.0f} h"
        ),
    )


def _sides(won: float, lost: float) -> str:
    parts = [("gains", won), ("losses", lost)]
    known = [f"{name} {number(value, '.1f')}" for name, value in parts if number(value) != NOT_COMPUTED]
    return ", ".join(known) + " bp"


def _results(trades: pd.DataFrame) -> Chart:
    title = "Net result of a trade"
    text = (
        "How many trades ended with which result. Reversion earns little and often; what matters is whether the left "
        "tail stays short."
    )
    if trades.empty:
        return Chart("trades-results", title, text, absent=_NO_TRADE)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values = trades["net_bp"].to_numpy(dtype=np.float64)
        edges = np.histogram_bin_edges(np.append(values, 0.0), bins=min(40, max(5, int(np.sqrt(values.size) * 2))))
        step = edges[1] - edges[0]
        edges = np.arange(np.floor(values.min() / step), np.floor(values.max() / step) + 2) * step  # 0 is an edge
        counts, _ = np.histogram(values, edges)
        colours = [BLUE if edge >= -1e-9 * step else ORANGE for edge in edges[:-1]]
        axes.bar(edges[:-1], counts, width=step * 0.94, align="edge", color=colours, linewidth=0)
        axes.axvline(0.0, color=GREY, linewidth=0.9)
        axes.set_xlabel("net result, bp of gross")
        axes.set_ylabel("trades")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=False, axis="x")

    return Chart("trades-results", title, text, height=2.8, draw=draw)


def _holding(trades: pd.DataFrame) -> Chart:
    title = "Time held"
    text = (
        "How long positions are open, gains and losses apart. Losses that are held longest are positions waiting for "
        "a reversion that does not come."
    )
    if trades.empty:
        return Chart("trades-holding", title, text, absent=_NO_TRADE)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        hours = trades["hours"].to_numpy(dtype=np.float64)
        gained = trades["pnl_usd"].to_numpy() > 0.0
        edges = np.histogram_bin_edges(hours, bins=min(24, max(3, int(np.sqrt(hours.size)))))
        axes.hist(
            [hours[gained], hours[~gained]],
            bins=list(edges),
            stacked=True,
            color=[BLUE, ORANGE],
            label=["gained", "lost"],
            rwidth=0.92,
        )
        axes.set_xlabel("hours held")
        axes.set_ylabel("trades")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper right")

    return Chart("trades-holding", title, text, height=2.8, draw=draw)


def _endings(trades: pd.DataFrame) -> Chart:
    title = "Why trades end, and what that makes"
    text = (
        "Net result of all trades that ended for each reason: the spread reverted, the time was up (horizon), the "
        "z stop, the loss limit, or the data ended (cut off)."
    )
    if trades.empty:
        return Chart("trades-endings", title, text, absent=_NO_TRADE)
    sums = trades.groupby("reason")["pnl_usd"].agg(["sum", "size"]).sort_values("sum")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values = sums["sum"] / 1e3
        axes.barh(range(len(sums)), values, color=[BLUE if v >= 0 else ORANGE for v in values], height=0.55)
        axes.axvline(0.0, color=GREY, linewidth=0.9)
        labels = [f"{name.replace('_', ' ')} ({size})" for name, size in zip(sums.index, sums["size"], strict=True)]
        axes.set_yticks(range(len(sums)), labels)
        axes.set_xlabel("net, thousand USD")
        axes.grid(visible=False, axis="y")

    return Chart("trades-endings", title, text, height=1.3 + 0.28 * len(sums), draw=draw)


def _by_pair(trades: pd.DataFrame) -> Table:
    header = ("Pair", "Trades", "Gained", "Mean net, bp", "Median hours", "Net, USD", "Worst, USD")
    rows = tuple(
        (
            str(name),
            f"{len(group):,}",
            share((group["pnl_usd"] > 0.0).mean(), 0),
            number(group["net_bp"].mean(), ".1f"),
            number(group["hours"].median(), ".0f"),
            usd(group["pnl_usd"].sum()),
            usd(group["pnl_usd"].min()),
        )
        for name, group in trades.groupby("pair_id")
    )
    return Table("By pair", header, rows, absent=_NO_TRADE)


def _listing(title: str, trades: pd.DataFrame) -> Table:
    rows = tuple(
        (
            f"{row['timestamp_decision']:%Y-%m-%d %H:%M}",
            row["pair_id"],
            "buys" if row["qty_a"] > 0.0 else "sells",
            number(row["z"]),
            number(row["return_prob"], ".3f"),
            number(row["risk_score"], ".3f"),
            number(row["hours"], ".0f"),
            row["reason"].replace("_", " "),
            usd(row["pnl_usd"]),
            number(row["net_bp"], ".1f"),
        )
        for row in trades.head(_LISTED).to_dict("records")
    )
    return Table(title, _HEADER, rows, left=(0, 1, 2, 7), absent=_NO_TRADE)
