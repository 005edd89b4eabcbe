from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtest.candidates import Candidates, PairMarket, Predictions, build_candidates, pool_candidates
from core.backtest.engine import Window, run_backtest
from core.backtest.summary import summarise
from core.thresholds.identity import search_identity
from core.thresholds.objective import SearchData, count_starts, evaluate, objective_value, penalties
from core.thresholds.search import search, trials_frame
from core.thresholds.surface import theta_surface
from tests.unit.backtest.market import DECISION, HOUR, LABEL, marks_of, pair_market, portfolio_of
from tests.unit.thresholds.surfaces import OBJECTIVE, RANGES, SEARCH


def objective(annual: float, drawdown: float, trades: float, false_positive: float) -> float:
    return float(objective_value(annual, drawdown, trades, false_positive, *penalties(OBJECTIVE)))


def test_the_objective_by_hand() -> None:
    assert objective(0.20, 0.10, 200.0, 0.0) == pytest.approx(0.20)
    # 0.20 − 2 × 0.03 − 0.05 × 50/150 − 0.10 × 0.4
    assert objective(0.20, 0.15, 100.0, 0.4) == pytest.approx(0.20 - 0.06 - 0.05 / 3 - 0.04)
    assert objective(0.0, 0.0, 0.0, 0.0) == pytest.approx(-0.05)


@given(st.floats(-1, 5), st.floats(0, 1), st.floats(0, 2000), st.floats(0, 1))
def test_worse_numbers_never_raise_the_objective(annual: float, drawdown: float, trades: float, fp: float) -> None:
    value = objective(annual, drawdown, trades, fp)
    assert value <= annual + 1e-12
    assert objective(annual, min(1.0, drawdown + 0.1), trades, fp) <= value + 1e-12
    assert objective(annual, drawdown, max(0.0, trades - 10), fp) <= value + 1e-12


def search_markets(seed: int, days: int, pair_ids: tuple[str, str]) -> list[tuple[PairMarket, Predictions]]:
    """Two pairs and their starts, whose probability tells good ones from bad ones."""
    rng = np.random.default_rng(seed)
    made = []
    n = 24 * days
    for name in pair_ids:
        spread = np.zeros(n)
        for i in range(1, n):
            spread[i] = 0.95 * spread[i - 1] + rng.normal(0.0, 0.31)
        walk = np.cumsum(rng.normal(0.0, 1e-3, n))
        close_a, close_b = 1.1 * np.exp(walk + 2e-3 * spread), 1.3 * np.exp(walk)
        market = pair_market(
            spread.tolist(),
            pair_id=name,
            open_a=np.append(1.1, close_a[:-1]).tolist(),
            close_a=close_a.tolist(),
            open_b=np.append(1.3, close_b[:-1]).tolist(),
            close_b=close_b.tolist(),
        )
        at = np.flatnonzero(np.abs(spread) >= 2.0)
        predictions = Predictions(
            ts=market.bars.ts[at],
            z=spread[at],
            return_prob=rng.uniform(0.55, 0.9, at.size),
            risk_score=rng.uniform(0.15, 0.5, at.size),
            scale=np.ones(at.size),
            risk_event=rng.integers(0, 2, at.size).astype(np.float64),
        )
        made.append((market, predictions))
    return made


def search_data(seed: int = 0, *, days: int = 120, pair_ids: tuple[str, str] = ("A-B", "C-D")) -> SearchData:
    """The candidates of `search_markets`."""
    made = search_markets(seed, days, pair_ids)
    markets = [market for market, _ in made]
    parts: list[Candidates] = [
        build_candidates(market, predictions, marks_of(market), LABEL, DECISION, stale_seconds=HOUR)
        for market, predictions in made
    ]
    window = Window(int(markets[0].bars.ts[0]), int(markets[0].bars.ts[-1]) + HOUR)
    return SearchData(pool_candidates(parts), marks_of(markets[0]), portfolio_of(*markets), window, 260)


DATA = search_data()


def test_false_positives_are_counted_on_what_ai1_passes() -> None:
    found = DATA.candidates
    evaluation = evaluate(DATA, OBJECTIVE, 0.7, 0.3)
    ended = (found.horizon <= DATA.window.end) & (found.exit_ts <= DATA.window.end)
    known = (found.return_prob > 0.7) & ended & np.isfinite(found.risk_event)
    wrong = known & (found.risk_score >= 0.3) & (found.risk_event == 0.0)
    assert evaluation.false_positive == pytest.approx(wrong.sum() / known.sum())
    assert evaluation.passed.sum() == known.sum()
    assert evaluation.blocked_wrongly.sum() == wrong.sum()
    assert evaluation.closed.sum() == evaluation.n_trades
    assert evaluate(DATA, OBJECTIVE, 0.95, 0.3).false_positive == 0.0


def test_a_start_whose_exit_fills_after_the_window_counts_for_nothing() -> None:
    # its label is known at the window's end; a filled bar puts its exit off beyond it
    found = DATA.candidates
    inside = (found.horizon <= DATA.window.end) & np.isfinite(found.risk_event) & (found.return_prob > 0.7)
    put_off = np.flatnonzero(inside & (found.exit_ts <= DATA.window.end))[-1]
    exits = found.exit_ts.copy()
    exits[put_off] = DATA.window.end + 1
    late = SearchData(replace(found, exit_ts=exits), DATA.marks, DATA.portfolio, DATA.window, 260)
    counts = [evaluate(data, OBJECTIVE, 0.7, 0.3).passed.sum() for data in (DATA, late)]
    assert counts[1] == counts[0] - 1


def test_nothing_after_the_window_is_seen() -> None:
    # right after a start that passes AI1 and is blocked: its label is not yet known there
    blocked = (DATA.candidates.return_prob > 0.7) & (DATA.candidates.risk_score >= 0.3)
    at = np.flatnonzero(blocked & (DATA.candidates.risk_event == 1.0))
    middle = Window(DATA.window.start, int(DATA.candidates.decided[at[at.size // 2]]))
    seen = SearchData(DATA.candidates, DATA.marks, DATA.portfolio, middle, 260)
    found = DATA.candidates
    future = found.exit_ts > middle.end
    changed = replace(
        found,
        move_a=np.where(future, 99.0, found.move_a),
        risk_event=np.where(found.horizon > middle.end, 0.0, found.risk_event),
    )
    other = SearchData(changed, DATA.marks, DATA.portfolio, middle, 260)
    before, after = evaluate(seen, OBJECTIVE, 0.7, 0.3), evaluate(other, OBJECTIVE, 0.7, 0.3)
    assert before.n_trades > 0
    assert np.array_equal(before.returns, after.returns)
    assert before.value == after.value
    assert count_starts(seen) < count_starts(DATA)


def test_the_surface_holds_what_each_theta_is_worth() -> None:
    surfaces = [theta_surface(DATA, OBJECTIVE, RANGES, points=4, workers=workers) for workers in (1, 2)]
    assert surfaces[0].equals(surfaces[1])
    assert len(surfaces[0]) == 16
    assert surfaces[0][["theta1", "theta2"]].agg(["min", "max"]).to_numpy().tolist() == [[0.60, 0.20], [0.85, 0.45]]
    row: Any
    for row in surfaces[0].itertuples(index=False):
        evaluation = evaluate(DATA, OBJECTIVE, row.theta1, row.theta2)
        assert [getattr(evaluation, name) for name in surfaces[0].columns] == list(row)


@pytest.mark.parametrize("seed", range(3))
def test_an_evaluation_is_the_backtest_in_numbers(seed: int) -> None:
    # one implementation serves the search and the final backtest: equal to the last bit
    theta1, theta2 = np.random.default_rng(seed).uniform((0.6, 0.2), (0.85, 0.45))
    evaluation = evaluate(DATA, OBJECTIVE, theta1, theta2)
    result = run_backtest(DATA.candidates, DATA.marks, DATA.portfolio, DATA.window, theta1=theta1, theta2=theta2)
    summary = summarise(result, DATA.days_per_year)
    assert np.array_equal(evaluation.returns, result.daily_returns)
    for name in ("sharpe", "max_drawdown", "annual_return", "trades_per_year", "n_trades"):
        assert getattr(evaluation, name) == getattr(summary, name)


def test_a_search_is_told_apart_by_all_its_trials_follow_from() -> None:
    def identity(data: SearchData = DATA, trials: int = SEARCH.trials, seed: int = 5) -> str:
        return search_identity(data, OBJECTIVE, RANGES, SEARCH.model_copy(update={"trials": trials}), seed)

    dearer = replace(DATA.candidates, cost_a=DATA.candidates.cost_a + 1.0)
    others = [identity(replace(DATA, candidates=dearer)), identity(trials=51), identity(seed=6)]
    assert identity() == identity(replace(DATA))
    assert len({identity(), *others}) == 4


def test_a_window_without_a_start_has_finite_numbers_and_no_theta() -> None:
    found = DATA.candidates
    empty = replace(DATA, candidates=replace(found, decided=np.full(len(found), DATA.window.start - 1)))
    outcome = search(empty, OBJECTIVE, RANGES, SEARCH, previous=(0.7, 0.3), seed=5, on_trial=lambda done, most: None)
    assert count_starts(empty) == 0
    assert outcome.best is None
    assert np.isfinite(trials_frame(outcome).select_dtypes("number")).all(axis=None)
    assert trials_frame(outcome)["value"].eq(-0.05).all()
    assert theta_surface(empty, OBJECTIVE, RANGES, points=2, workers=1)["value"].eq(-0.05).all()


def test_the_search_tries_the_previous_theta_the_grid_and_then_proposals() -> None:
    ticks = count(1)
    outcome = search(
        DATA,
        OBJECTIVE.model_copy(update={"trades_per_year_min": 30.0}),
        RANGES,
        SEARCH,
        previous=(0.70, 0.30),
        seed=5,
        on_trial=lambda done, most: _expect(done, next(ticks), most),
    )
    frame = trials_frame(outcome)
    assert frame["origin"].iloc[0] == "previous"
    assert frame["origin"].value_counts()["grid"] == 36
    assert SEARCH.early_stop_trials <= frame["origin"].value_counts()["tpe"] <= SEARCH.trials
    assert frame["theta1"].between(0.60, 0.85).all()
    assert frame["theta2"].between(0.20, 0.45).all()
    assert not frame.isna().any().any()
    best = frame[frame["within_limits"]].sort_values(["value", "number"], ascending=[False, True])
    assert outcome.best is not None
    assert outcome.best.value == best["value"].iloc[0]
    ranked = frame[frame["candidate"] > 0].sort_values("candidate")
    assert len(ranked) == min(SEARCH.candidates_kept, len(best))
    assert ranked["value"].is_monotonic_decreasing


def test_the_same_seed_gives_the_same_trials() -> None:
    frames = [
        trials_frame(
            search(DATA, OBJECTIVE, RANGES, SEARCH, previous=(0.7, 0.3), seed=seed, on_trial=lambda done, most: None)
        )
        for seed in (5, 5, 6)
    ]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_proposals_stop_when_they_gain_nothing() -> None:
    # an unreachable θ range: no start passes, every proposal is worth the same
    ranges = RANGES.model_copy(update={"theta1": (0.95, 0.99)})
    outcome = search(DATA, OBJECTIVE, ranges, SEARCH, previous=(0.95, 0.30), seed=5, on_trial=lambda done, most: None)
    assert sum(trial.origin == "tpe" for trial in outcome.trials) == SEARCH.early_stop_trials
    assert outcome.best is None


def _expect(done: int, expected: int, most: int) -> None:
    assert done == expected <= most
