"""Equity, drawdown and the months' returns."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from core.report.document import Chart, Section, Table
from core.report.material import Material
from core.report.style import BLUE, GREY, ORANGE, date_axis
from core.report.wording import count, number, share, usd

_SCOPES: Final = {
    "adoption": "Adoption window",
    "all_out_of_sample": "All out-of-sample months",
    "theta_search": "θ search window",
}


def equity_section(material: Material) -> Section:
    """Equity and drawdown of the adoption window and of all out-of-sample months, and the result of each month."""
    return Section(
        "equity",
        "Equity and drawdown",
        "One capital for all pairs, marked once a day at the close of the trading day. Open positions are marked at "
        "the newest close, with the costs and swap paid so far taken off.",
        charts=(
            _curve(material, "adoption", "What the verdict judges: the newest twelve months at the θ in force."),
            _curve(
                material,
                "all_out_of_sample",
                "Every month predicted by a model that had not seen it, at the same θ. The months before the adoption "
                "window (shaded: adoption) were used to choose θ, so they flatter it.",
            ),
            _months(material),
        ),
        tables=(_summary(material),),
    )


def _curve(material: Material, scope: str, text: str) -> Chart:
    equity, title = material.equity_of(scope), _SCOPES[scope]
    if equity.empty:
        return Chart(f"equity-{scope}", title, text, absent="The window holds no trading day.")
    initial = material.policy.capital.initial_usd
    window = material.verdict["window"] if scope == "all_out_of_sample" else None
    traded = len(material.trades_of(scope))
    worst = float(equity["drawdown"].max())
    outcome = (
        f"{usd(initial)} USD became {usd(equity['equity_usd'].iloc[-1])} USD in {count(traded, 'trade')}; "
        f"the largest loss from a peak was {share(worst)}."
        if traded
        else "No trade was made, so the capital did not move."
    )

    def draw(figure: Any) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 1]})
        days = equity["timestamp"].dt.tz_localize(None).to_numpy()
        upper.axhline(0.0, color=GREY, linewidth=0.8)
        upper.plot(days, (equity["equity_usd"] / initial - 1.0) * 100.0, color=BLUE)
        upper.set_ylabel("return, %")
        lower.fill_between(days, -equity["drawdown"] * 100.0, 0.0, color=ORANGE, alpha=0.35, linewidth=0)
        lower.plot(days, -equity["drawdown"] * 100.0, color=ORANGE, linewidth=0.9)
        lower.set_ylabel("drawdown, %")
        if worst == 0.0:
            lower.set_ylim(-1.0, 0.05)
        if window is not None:
            begin, end = (pd.Timestamp(window[name]).tz_localize(None) for name in ("start", "end"))
            for axes in (upper, lower):
                axes.axvspan(begin, end, color=BLUE, alpha=0.06, linewidth=0)
                axes.set_xlim(days[0], max(pd.Timestamp(days[-1]), end))
        date_axis(lower)

    return Chart(f"equity-{scope}", title, f"{text} {outcome}", height=3.3, draw=draw)


def _months(material: Material) -> Chart:
    title = "Return of each month"
    text = (
        "Net return of each calendar month, all out-of-sample months. A result that rests on a few months is worth "
        "less than the same result spread over many."
    )
    equity = material.equity_of("all_out_of_sample")
    if equity.empty:
        return Chart("months", title, text, absent="There is no out-of-sample trading day.")
    stamps = equity["timestamp"].dt.tz_localize(None)
    months = (1.0 + equity["daily_return"]).groupby(stamps.dt.to_period("M")).prod() - 1.0
    gained = int((months > 0.0).sum())
    if not months.any():
        return Chart("months", title, text, absent="No month has a result: there was no trade.")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        colours = [BLUE if value >= 0.0 else ORANGE for value in months]
        middles = pd.PeriodIndex(months.index).to_timestamp() + pd.Timedelta(days=14)
        axes.bar(middles, months * 100.0, width=22, color=colours, linewidth=0)
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        axes.set_ylabel("return, %")
        axes.grid(visible=False, axis="x")
        date_axis(axes)

    counted = f"{gained} of {count(len(months), 'month')} gained."
    return Chart("months", title, f"{text} {counted}", height=2.6, draw=draw)


def _summary(material: Material) -> Table:
    rows = tuple(
        (
            _SCOPES.get(row["scope"], row["scope"]),
            f"{row['window_start']:%Y-%m-%d} to {row['window_end']:%Y-%m-%d}",
            number(row["n_trades"], ",.0f"),
            number(row["sharpe"]),
            share(row["max_drawdown"]),
            share(row["annual_return"]),
            number(row["trades_per_year"], ".0f"),
            number(row["psr"], ".3f"),
        )
        for row in material.summary.to_dict("records")
    )
    return Table(
        "Each window in numbers",
        ("Window", "Dates", "Trades", "Sharpe", "Drawdown", "Annual return", "Trades a year", "PSR"),
        rows,
        left=(0, 1),
        text="PSR is the probability that the true Sharpe ratio is above 0, given skew and tails of the daily returns.",
    )
