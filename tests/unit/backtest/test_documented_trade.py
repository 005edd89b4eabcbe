"""The trade of docs/backtest.md: the page's arithmetic in decimals, and the engine's result beside it, to the cent."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.backtest.engine import Window, run_backtest
from core.backtest.frames import Provenance, Run, equity_frame, trades_frame
from core.backtest.replay import Market, portfolio_of, replay
from core.backtest.summary import summarise
from core.config.backtest_policy import Capital
from core.config.cost_table import CostTable
from core.config.settings import Settings
from tests.unit.backtest.market import HOUR, costs, moment, pair_market

PAGE = Path(__file__).parents[3] / "docs" / "backtest.md"
D = Decimal
CONTRACT, BP = D(100_000), D("0.0001")
EQUITY, SCALE, BETA = D(1_000_000), D("0.4"), D("0.8")
HOURS = {20: D("1.3"), 23: D("1.8")}
OPENS = {
    "EURJPY": ["162.380", "162.420", "162.350", "162.300", "162.100"],
    "GBPJPY": ["190.310", "190.280", "190.300", "190.350", "190.420"],
    "USDJPY": ["149.480", "149.520", "149.450", "149.400", "149.300"],
}
CLOSES = {
    "EURJPY": ["162.400", "162.350", "162.300", "162.120", "162.080"],
    "GBPJPY": ["190.300", "190.300", "190.350", "190.400", "190.430"],
    "USDJPY": ["149.500", "149.450", "149.400", "149.320", "149.280"],
}
TERMS = {
    "EURJPY": {
        "spread": D("1.2"),
        "slippage": D("0.1"),
        "commission": D("0.2"),
        "long": D("-0.25"),
        "short": D("-0.2"),
    },
    "GBPJPY": {"spread": D("1.8"), "slippage": D("0.1"), "commission": D("0.2"), "long": D("-0.4"), "short": D("-0.4")},
}
"""EURJPY has a row of its own, GBPJPY takes the defaults."""

DECISION, ENTRY, MARK, EXIT = 0, 1, 2, 4


def at(prices: dict[str, list[str]], symbol: str, bar: int) -> Decimal:
    return D(prices[symbol][bar])


def cents(value: Decimal) -> str:
    return f"{value.quantize(D('0.01'), ROUND_HALF_EVEN):,}"


def leg_by_hand(symbol: str, sign: int, weight: Decimal) -> tuple[Decimal, list[str]]:
    """Net USD of a leg and the page's lines about it."""
    terms, side = TERMS[symbol], ("sell" if sign < 0 else "buy")
    target = EQUITY * SCALE * weight
    lot = at(CLOSES, symbol, DECISION) * CONTRACT / at(CLOSES, "USDJPY", DECISION)
    lots = (target / lot).quantize(D("0.01"), ROUND_FLOOR)
    units = lots * CONTRACT

    def fill(bar: int, hour: int, buys: bool) -> tuple[Decimal, Decimal, Decimal]:
        """Price before and after the concession, and USD a yen is worth there."""
        raw = at(OPENS, symbol, bar)
        bp = terms["spread"] / 2 + terms["slippage"] * HOURS[hour]
        price = (raw * (1 + bp * BP if buys else 1 - bp * BP)).quantize(
            D("0.001"), ROUND_CEILING if buys else ROUND_FLOOR
        )
        return raw, price, 1 / at(OPENS, "USDJPY", bar)

    raw_in, price_in, usd_in = fill(ENTRY, 20, sign > 0)
    raw_out, price_out, usd_out = fill(EXIT, 23, sign < 0)
    move = sign * (raw_out - raw_in) * units * usd_out
    give_in = abs(price_in - raw_in) * units * usd_in
    give_out = abs(price_out - raw_out) * units * usd_out
    fee_in = terms["commission"] * BP * price_in * units * usd_in
    fee_out = terms["commission"] * BP * price_out * units * usd_out
    rate = terms["long"] if sign > 0 else terms["short"]
    swap = -rate * BP * 3 * at(CLOSES, symbol, MARK) * units / at(CLOSES, "USDJPY", MARK)
    net = move - give_in - give_out - fee_in - fee_out - swap
    moved = f"({raw_out} − {raw_in})" if sign > 0 else f"({raw_in} − {raw_out})"
    lines = [
        f"{symbol}: {side} {lots} lots, {cents(target)} / {cents(lot)} rounded down",
        f"  move        {moved} × {units:,.0f} / {at(OPENS, 'USDJPY', EXIT)} = {cents(move)}",
        f"  entry       filled at {price_in}: {abs(price_in - raw_in)} × {units:,.0f} / {at(OPENS, 'USDJPY', ENTRY)}"
        f" = {cents(give_in)}",
        f"  exit        filled at {price_out}: {abs(price_out - raw_out)} × {units:,.0f} / {at(OPENS, 'USDJPY', EXIT)}"
        f" = {cents(give_out)}",
        f"  commission  {terms['commission']} bp of both fills = {cents(fee_in)} + {cents(fee_out)}",
        f"  swap        3 nights × {-rate} bp × {at(CLOSES, symbol, MARK)} × {units:,.0f} /"
        f" {at(CLOSES, 'USDJPY', MARK)} = {cents(swap)}",
        f"  net         {cents(net)}",
    ]
    return net, lines


def by_hand() -> tuple[Decimal, str]:
    gross = 1 + BETA
    net_a, lines_a = leg_by_hand("EURJPY", -1, 1 / gross)
    net_b, lines_b = leg_by_hand("GBPJPY", +1, BETA / gross)
    total = [f"trade: {cents(net_a)} + {cents(net_b)} = {cents(net_a + net_b)} USD"]
    return net_a + net_b, "\n".join([*lines_a, "", *lines_b, "", *total])


def by_engine(settings: Settings) -> tuple[pd.Series, pd.DataFrame]:
    """The trade's row of bt_trades, and bt_daily_equity."""
    start = moment("2024-03-06T19")
    ts = [start + HOUR * i for i in range(5)]

    def floats(prices: dict[str, list[str]], symbol: str) -> list[float]:
        return [float(price) for price in prices[symbol]]

    made = pair_market(
        [2.5, 1.8, 1.2, 0.4, 0.3],
        pair_id="EURJPY-GBPJPY",
        ts=ts,
        open_a=floats(OPENS, "EURJPY"),
        close_a=floats(CLOSES, "EURJPY"),
        open_b=floats(OPENS, "GBPJPY"),
        close_b=floats(CLOSES, "GBPJPY"),
        beta=[0.8, 0.9, 1.0, 1.1, 1.2],
    )
    stamps = pd.to_datetime(ts, unit="s", utc=True).astype("datetime64[us, UTC]")
    usdjpy = pd.DataFrame({"ts": stamps, "open": floats(OPENS, "USDJPY"), "close": floats(CLOSES, "USDJPY")})
    factors = tuple(float(HOURS.get(hour, D(1))) for hour in range(24))
    rows = {
        symbol: costs(
            spread_bp=float(terms["spread"]),
            slippage_bp=float(terms["slippage"]),
            commission_bp=float(terms["commission"]),
            swap_long_bp_per_night=float(terms["long"]),
            swap_short_bp_per_night=float(terms["short"]),
            slippage_hour_factors=factors,
        )
        for symbol, terms in TERMS.items()
    }
    market = Market(
        universe=settings.universe,
        cost_table=CostTable(defaults=rows["GBPJPY"], overrides={"EURJPY": rows["EURJPY"]}),
        bars={made.bars.pair_id: made.bars},
        tables={made.bars.pair_id: made.table},
        conversion={"USDJPY": usdjpy},
    )
    predictions = pd.DataFrame(
        {
            "pair_id": "EURJPY-GBPJPY",
            "ts": stamps[:1],
            "z": 2.5,
            "return_prob": 0.8,
            "risk_score": 0.1,
            "position_scale": float(SCALE),
            "ai2": 0.0,
        }
    )
    capital = Capital(initial_usd=float(EQUITY), pair_share=1.0, leverage_max=5.0, margin_use_max=0.8)
    policy = settings.backtest_policy.model_copy(update={"capital": capital})
    candidates, marks = replay(predictions, market, settings.core_policy, policy)
    portfolio = portfolio_of(candidates, settings.universe, settings.core_policy, policy)
    result = run_backtest(candidates, marks, portfolio, Window(ts[0], ts[-1] + HOUR), theta1=0.7, theta2=0.3)
    run = Run("adoption", 0.7, 0.3, result, summarise(result, 260))
    stamp = Provenance("V", "f" * 64, "c" * 40, "d" * 64, 7)
    return trades_frame(run, candidates, stamp).iloc[0], equity_frame(run, stamp)


def test_the_page_tells_what_the_decimals_give() -> None:
    assert f"```text\n{by_hand()[1]}\n```" in PAGE.read_text(encoding="utf-8")


def test_the_page_shows_the_bars_that_are_traded() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for bar in range(5):
        cells = [f"{OPENS[symbol][bar]} → {CLOSES[symbol][bar]}" for symbol in ("EURJPY", "GBPJPY", "USDJPY")]
        assert f"| {19 + bar}:00 | " + " | ".join(cells) + " |" in page


def test_the_engine_books_the_same_to_the_cent(settings: Settings) -> None:
    trade, equity = by_engine(settings)
    net, _ = by_hand()
    assert trade["pnl_usd"] == pytest.approx(float(net), abs=0.005)
    assert equity["equity_usd"].iloc[-1] == pytest.approx(float(EQUITY + net), abs=0.005)
    assert (trade["qty_a"], trade["qty_b"]) == pytest.approx((-2.04, 1.39))
    fills = trade[["price_entry_a", "price_exit_a", "price_entry_b", "price_exit_b"]].astype(float).to_numpy()
    page = PAGE.read_text(encoding="utf-8")
    for price in fills:
        assert f"filled at {price:.3f}" in page
    assert np.allclose(fills, np.round(fills, 3))
