from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtest.candidates import Candidates, PairMarket, Predictions, build_candidates, pool_candidates
from core.backtest.daily_marks import DailyMarks
from core.backtest.engine import BacktestResult, Portfolio, Window, run_backtest
from core.errors import InputError
from core.labels.exits import ExitReason
from tests.unit.backtest.market import DECISION, HOUR, LABEL, marks_of, moment, pair_market, portfolio_of, starts_of


def window_of(market: PairMarket) -> Window:
    return Window(int(market.bars.ts[0]), int(market.bars.ts[-1]) + HOUR)


def entries(z: list[float]) -> list[int]:
    """Decision bars of the trades taken on one pair."""
    market = pair_market(z)
    candidates = starts_of(market)
    result = run_backtest(candidates, marks_of(market), portfolio_of(market), window_of(market), theta1=0.7, theta2=0.3)
    return [int((candidates.ts[c] - market.bars.ts[0]) // HOUR) for c in result.taken]


def test_one_position_a_pair() -> None:
    assert entries([2.5, 2.6, 2.5, 2.2, 0.3, 0.2]) == [0]


def test_after_a_stop_no_entry_until_z_was_below_the_entry_limit() -> None:
    # stop decided at bar 2, out at bar 3; z stays above 2 until bar 6 shows 1.9
    assert entries([2.5, 2.6, 4.5, 3.0, 3.0, 2.5, 1.9, 2.5, 1.0, 0.3, 0.2]) == [0, 7]
    assert entries([2.5, 2.6, 4.5, 3.0, 3.0, 2.5, 2.1, 2.5, 1.0, 0.3, 0.2]) == [0]


def test_a_reverted_position_re_arms_by_its_own_exit() -> None:
    # |z| < 2 was seen at the exit's decision: the next start may be taken as soon as the exit is filled
    assert entries([2.5, 1.5, 0.3, 2.5, 1.0, 0.3, 0.2]) == [0, 3]


def test_no_entry_at_or_beyond_the_stop() -> None:
    assert entries([4.0, 3.9, 1.0, 0.3, 0.2]) == [1]


def test_entries_wait_until_the_exit_is_filled() -> None:
    market = pair_market([2.5, 1.5, 0.3, 2.5, 2.5, 1.0, 0.3, 0.2, 0.1, 0.1])
    candidates = starts_of(market, late=(0, 0, 2, 2))
    result = run_backtest(candidates, marks_of(market), portfolio_of(market), window_of(market), theta1=0.7, theta2=0.3)
    # the exit decided at bar 2 comes two bars late, at the open of bar 5: bar 3 closes before it, bar 4 at that moment
    assert [int((candidates.ts[c] - market.bars.ts[0]) // HOUR) for c in result.taken] == [0, 4]


def test_theta_refuses() -> None:
    market = pair_market([2.5, 1.5, 0.3, 0.2])
    for theta1, theta2 in ((0.9, 0.3), (0.7, 0.1)):
        result = run_backtest(
            starts_of(market), marks_of(market), portfolio_of(market), window_of(market), theta1=theta1, theta2=theta2
        )
        assert result.taken.size == 0
        assert set(result.equity.tolist()) == {1e6}


def test_a_window_takes_entries_from_its_start_whose_exit_is_within_it() -> None:
    market = pair_market([2.5, 1.5, 0.3, 0.2, 2.5, 1.5, 0.3, 0.2, 2.5, 1.5, 0.3, 0.2])
    candidates = starts_of(market)
    start = int(market.bars.ts[0])
    # decisions at closes 1, 5, 9 h; exits fill at opens 3, 7, 11 h
    window = Window(start + 2 * HOUR, start + 7 * HOUR)
    result = run_backtest(candidates, marks_of(market), portfolio_of(market), window, theta1=0.7, theta2=0.3)
    assert candidates.decided[result.taken].tolist() == [start + 5 * HOUR]
    earlier = Window(start + 2 * HOUR, start + 7 * HOUR - 1)
    result = run_backtest(candidates, marks_of(market), portfolio_of(market), earlier, theta1=0.7, theta2=0.3)
    assert result.taken.size == 0


def test_marks_must_cover_the_window() -> None:
    market = pair_market([2.5, 1.5, 0.3, 0.2])
    marks = marks_of(market)
    window = Window(0, int(marks.ts[-1]))
    with pytest.raises(ValueError, match="marks end before"):
        run_backtest(starts_of(market), marks, portfolio_of(market), window, theta1=0.7, theta2=0.3)


def test_a_prediction_at_no_bar_is_an_input_error() -> None:
    market = pair_market([2.5, 1.5, 0.3, 0.2])
    other = pair_market([2.5, 1.5, 0.3, 0.2], start="2024-03-04T09")
    wrong = Predictions(
        ts=other.bars.ts[:1],
        z=np.array([2.5]),
        return_prob=np.array([0.9]),
        risk_score=np.array([0.1]),
        scale=np.array([1.0]),
        risk_event=np.array([0.0]),
    )
    with pytest.raises(InputError, match="BACKTEST_INPUT_BAR"):
        build_candidates(market, wrong, marks_of(market), LABEL, DECISION, stale_seconds=HOUR)


@pytest.mark.parametrize(("age", "kept"), [(0, 1), (2 * HOUR, 1), (2 * HOUR + 1, 0), (-1, 0)])
def test_no_order_is_sized_with_a_stale_conversion_price(age: int, kept: int) -> None:
    assert len(starts_of(pair_market([2.5, 1.5, 0.3, 0.2], usd_age_b=[age, 0, 0, 0]))) == kept


def slow_walk(
    candidates: Candidates, marks: DailyMarks, portfolio: Portfolio, window: Window
) -> tuple[list[int], list[float]]:
    """The same portfolio written as a plain loop over moments: taken candidates and equity at each mark."""
    capital = portfolio.capital
    cash = equity = capital.initial_usd
    book: list[tuple[int, float, float]] = []
    closed_at: dict[int, int] = {}
    taken: list[int] = []
    curve = [equity]

    def net(c: int, a: float, b: float) -> float:
        move = a * candidates.move_a[c] + b * candidates.move_b[c]
        cost = a * candidates.cost_a[c] + b * candidates.cost_b[c]
        return float(move - cost - a * candidates.swap_a[c] - b * candidates.swap_b[c])

    days = [int(m) for m in marks.ts if m > window.start]
    days = days[: next(i for i, m in enumerate(days) if m > window.end) + 1]
    events = sorted([(m, 0, m) for m in days] + [(int(t), 1, c) for c, t in enumerate(candidates.decided)])
    for now, kind, item in events:
        for position in [p for p in book if (candidates.exit_ts[p[0]] < now if kind == 0 else False)]:
            cash += net(*position)
            book.remove(position)
        if kind == 0:
            equity = cash
            for c, a, b in book:
                at = [int(m) for m in marks.ts if candidates.entry_ts[c] < m <= candidates.exit_ts[c]]
                if now in at:
                    j = candidates.mark_start[c] + at.index(now)
                    equity += a * candidates.mark_a[j] + b * candidates.mark_b[j]
            curve.append(float(equity))
            continue
        c = item
        p = int(candidates.pair[c])
        live = [x for x in book if candidates.exit_ts[x[0]] > now]
        if now < window.start or candidates.exit_ts[c] > window.end or abs(candidates.z[c]) >= 4.0:
            continue
        if any(candidates.pair[x[0]] == p for x in live) or equity <= 0:
            continue
        if p in closed_at and candidates.below[c] < closed_at[p]:
            continue
        gross = min(
            candidates.scale[c] * capital.pair_share * equity,
            capital.leverage_max * equity
            - sum(a * candidates.lot_usd_a[x] + b * candidates.lot_usd_b[x] for x, a, b in live),
        )
        steps = [
            int(np.floor(gross * abs(w[c]) / unit[c] / 0.01 + 1e-9))
            for w, unit in ((candidates.weight_a, candidates.lot_usd_a), (candidates.weight_b, candidates.lot_usd_b))
        ]
        if min(steps) < 1:
            continue
        book.append((c, steps[0] * 0.01, steps[1] * 0.01))
        closed_at[p] = int(candidates.exit_decided[c])
        taken.append(c)
    return taken, curve


@st.composite
def wandering_z(draw: st.DrawFn) -> list[float]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    z = np.zeros(240)
    for i in range(1, z.size):
        z[i] = 0.9 * z[i - 1] + rng.normal(0.0, 0.8)
    return [float(value) for value in z]


@settings(max_examples=40, deadline=None)
@given(wandering_z(), wandering_z(), st.integers(0, 2**32 - 1), st.sampled_from([0.4, 0.7, 4.0]))
def test_the_kernel_agrees_with_a_plain_loop(
    first: list[float], second: list[float], seed: int, leverage: float
) -> None:
    rng = np.random.default_rng(seed)
    prices = [1.1 * np.exp(np.cumsum(rng.normal(0.0, 2e-3, 240))) for _ in range(4)]
    markets = [
        pair_market(
            z,
            pair_id=name,
            open_a=prices[2 * i].tolist(),
            close_a=np.append(prices[2 * i][1:], 1.1).tolist(),
            open_b=prices[2 * i + 1].tolist(),
            close_b=np.append(prices[2 * i + 1][1:], 1.3).tolist(),
            beta=float(rng.uniform(-1.5, 1.5)),
        )
        for i, (name, z) in enumerate([("A-B", first), ("C-D", second)])
    ]
    candidates = pool_candidates([starts_of(market, scale=float(rng.uniform(0.2, 1.0))) for market in markets])
    capital = portfolio_of(*markets).capital.model_copy(update={"leverage_max": leverage})
    portfolio = portfolio_of(*markets, capital=capital)
    marks, window = marks_of(markets[0]), window_of(markets[0])
    result = run_backtest(candidates, marks, portfolio, window, theta1=0.7, theta2=0.3)
    taken, curve = slow_walk(candidates, marks, portfolio, window)
    assert result.taken.tolist() == taken
    assert result.equity == pytest.approx(curve, rel=1e-12)
    check_invariants(candidates, result, portfolio)


def check_invariants(candidates: Candidates, result: BacktestResult, portfolio: Portfolio) -> None:
    taken = result.taken
    for pair in range(len(candidates.pairs)):
        own = taken[candidates.pair[taken] == pair]
        for before, after in pairwise(own):
            assert candidates.decided[after] >= candidates.exit_ts[before]
            assert candidates.below[after] >= candidates.exit_decided[before]
    assert np.all(candidates.entry_ts >= candidates.decided)
    assert np.all(candidates.exit_ts > candidates.entry_ts)
    assert np.all(candidates.exit_ts >= candidates.exit_decided)
    assert np.all(np.abs(np.abs(candidates.weight_a) + np.abs(candidates.weight_b) - 1.0) < 1e-12)
    net = result.lots_a * (candidates.move_a - candidates.cost_a - candidates.swap_a)[taken]
    net += result.lots_b * (candidates.move_b - candidates.cost_b - candidates.swap_b)[taken]
    assert result.equity[-1] == pytest.approx(portfolio.capital.initial_usd + net.sum())


@settings(max_examples=25, deadline=None)
@given(wandering_z(), st.integers(0, 2**32 - 1), st.integers(60, 200))
def test_later_bars_do_not_change_what_is_over(z: list[float], seed: int, known: int) -> None:
    rng = np.random.default_rng(seed)
    price = (1.1 * np.exp(np.cumsum(rng.normal(0.0, 2e-3, len(z) + 1)))).tolist()
    whole = pair_market(z, open_a=price[:-1], close_a=price[1:])
    part = pair_market(z[:known], open_a=price[:known], close_a=price[1 : known + 1])
    moment_known = int(part.bars.ts[-1]) + HOUR
    results = []
    for market in (whole, part):
        candidates = starts_of(market)
        over = Window(int(part.bars.ts[0]), moment_known)
        portfolio = portfolio_of(market)
        result = run_backtest(candidates, marks_of(whole), portfolio, over, theta1=0.7, theta2=0.3)
        kept = [c for c in result.taken if candidates.reason[c] != ExitReason.CUT_OFF]
        net = candidates.move_a - candidates.cost_a
        results.append([(int(candidates.ts[c]), int(candidates.exit_ts[c]), float(net[c])) for c in kept])
    # a position cut off keeps its pair busy in the shorter history; in the longer one it ends beyond the window
    assert set(results[1]) <= set(results[0])


def test_pooled_candidates_keep_their_own_marks() -> None:
    one = pair_market([2.5] + [1.5] * 60, pair_id="A-B", start="2024-03-04T10", close_a=1.12)
    two = pair_market([2.5] + [1.5] * 60, pair_id="C-D", start="2024-03-04T09", close_a=1.13)
    # the grid of marks is shared
    marks = marks_of(one)
    assert marks.ts[0] == marks_of(two).ts[0]
    pooled = pool_candidates([starts_of(one), starts_of(two)])
    assert [pooled.pairs[i] for i in pooled.pair] == ["C-D", "A-B"]
    assert pooled.reason.tolist() == [ExitReason.HORIZON, ExitReason.HORIZON]
    assert pooled.mark_start.tolist() == [0, 2, 4]
    assert pooled.mark_a[:2] == pytest.approx([-3_000.0] * 2)
    assert pooled.mark_a[2:] == pytest.approx([-2_000.0] * 2)
    assert marks.ts[pooled.mark_first[0]] == moment("2024-03-04T22")
