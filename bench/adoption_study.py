"""Error rates and power of the adoption gate's statistics: python -m bench.adoption_study [search|luck|months|pairs] …

A market is a stream of starts, each with a probability and a risk score; a θ takes those that pass it. Twelve months
choose θ from a grid and proposals around its best and test the gain, twelve more judge it, as the chain does; the
functions of the gate give the numbers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.backtest.metrics import annual_return, max_drawdown, probabilistic_sharpe, sharpe
from core.backtest.significance.deflated_sharpe import deflated_sharpe, expected_maximum
from core.backtest.significance.overfitting import backtest_overfitting
from core.backtest.significance.paired_difference import paired_difference
from core.config.loader import load_settings
from core.thresholds.gain import gain_interval
from core.thresholds.objective import Evaluation, objective_value, penalties
from core.thresholds.search import SearchOutcome, Trial

SETTINGS: Final = load_settings(Path(__file__).parents[1] / "configs", "dev")
POLICY: Final = SETTINGS.core_policy
ADOPTION: Final = SETTINGS.backtest_policy.adoption
INITIAL: Final = (POLICY.theta1_initial, POLICY.theta2_initial)
MARKETS: Final = (
    ("no edge, costs", -2.0, 0.0),
    ("break-even", 0.0, 0.0),
    ("edge 2, flat", 2.0, 0.0),
    ("edge 3, flat", 3.0, 0.0),
    ("edge 2, informed", 2.0, 0.1),
    ("edge 4, informed", 4.0, 0.1),
)
"""Name, annual Sharpe ratio of taking every start, and what a standard deviation of probability adds to a gain."""
YEAR: Final = 260
STARTS_A_DAY: Final = 4.0
GRID: Final = 6
PROPOSALS: Final = 60
ROUNDS: Final = 3

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Starts:
    """Starts in order of `day`; `gain` in shares of capital."""

    day: NDArray[np.int64]
    probability: Series
    risk: Series
    gain: Series
    n_days: int

    def returns(self, thetas: Series) -> Series:
        """Daily returns (days, θ) of each (θ1, θ2)."""
        taken = (self.probability[:, np.newaxis] > thetas[:, 0]) & (self.risk[:, np.newaxis] < thetas[:, 1])
        daily = np.zeros((self.n_days, thetas.shape[0]))
        np.add.at(daily, self.day, self.gain[:, np.newaxis] * taken)
        return daily

    def trades(self, thetas: Series, until: int) -> Series:
        """Trades a θ takes before day `until`."""
        known = self.day < until
        taken = (self.probability[:, np.newaxis] > thetas[:, 0]) & (self.risk[:, np.newaxis] < thetas[:, 1])
        counts: Series = (taken & known[:, np.newaxis]).sum(axis=0).astype(np.float64)
        return counts


def draw_starts(rng: np.random.Generator, years: float, true_sharpe: float, slope: float) -> Starts:
    """A market whose every start taken gives `true_sharpe` a year; `slope`: gain per sd of probability, in sd."""
    n_days = int(years * YEAR)
    counts = rng.poisson(STARTS_A_DAY, n_days)
    day = np.repeat(np.arange(n_days), counts)
    informed = rng.normal(size=day.size)
    common = rng.standard_t(5, n_days)[day] * np.sqrt(0.2)
    noise = common + rng.standard_t(5, day.size) * np.sqrt(0.8)
    spread = np.sqrt(5.0 / 3.0)
    daily_sd = np.sqrt(STARTS_A_DAY + 0.2 * STARTS_A_DAY**2)
    edge = true_sharpe / np.sqrt(YEAR) * daily_sd / STARTS_A_DAY
    gain = 0.001 * (noise / spread + edge + slope * informed)
    probability = 0.62 + 0.06 * informed
    return Starts(day, probability, rng.uniform(0.1, 0.6, day.size), gain, n_days)


@dataclass(frozen=True)
class Found:
    """The θ tried and their daily returns on the search window (days, θ); `held` when the gain may be luck."""

    thetas: Series
    searched: Series
    best: int
    held: bool


def search(rng: np.random.Generator, starts: Starts, days: int, seed: int) -> Found:
    """The initial θ, a grid, then proposals around the best so far; the first is held unless the gain excludes 0."""
    axes = np.meshgrid(np.linspace(0.60, 0.85, GRID), np.linspace(0.20, 0.45, GRID))
    thetas = np.vstack([[INITIAL], np.column_stack([axis.ravel() for axis in axes])])
    for _ in range(ROUNDS):
        values = [each.value for each in _evaluations(starts, thetas, days)]
        near = thetas[int(np.argmax(values))] + rng.normal(size=(PROPOSALS // ROUNDS, 2)) * 0.03
        thetas = np.vstack([thetas, np.clip(near, [0.60, 0.20], [0.85, 0.45])])
    found = _evaluations(starts, thetas, days)
    within = [index for index, each in enumerate(found) if each.within_limits]
    order = sorted(within, key=lambda index: -found[index].value)
    outcome = SearchOutcome(tuple(Trial("grid", each) for each in found), tuple(order))
    searched = np.column_stack([each.returns for each in found])
    if not order:
        return Found(thetas, searched, 0, held=True)
    interval = gain_interval(outcome, POLICY.theta_objective, POLICY.theta_search, days / YEAR, seed)
    return Found(thetas, searched, order[0] if interval.excludes_zero else 0, held=not interval.excludes_zero)


def _evaluations(starts: Starts, thetas: Series, days: int) -> list[Evaluation]:
    returns = starts.returns(thetas)[:days]
    trades = starts.trades(thetas, days)
    limits, found = POLICY.theta_objective, []
    for index in range(thetas.shape[0]):
        equity = np.concatenate(([1.0], np.cumprod(1.0 + returns[:, index])))
        annual, drawdown = annual_return(equity, days / YEAR), max_drawdown(equity)
        closed = np.zeros(days, dtype=np.int64)
        closed[: int(trades[index]) % days] = 1
        closed += int(trades[index]) // days
        found.append(
            Evaluation(
                theta1=float(thetas[index, 0]),
                theta2=float(thetas[index, 1]),
                value=objective_value(annual, drawdown, trades[index] * YEAR / days, 0.0, *penalties(limits)),
                annual_return=annual,
                max_drawdown=drawdown,
                trades_per_year=trades[index] * YEAR / days,
                false_positive=0.0,
                sharpe=sharpe(returns[:, index], YEAR),
                n_trades=int(trades[index]),
                within_limits=drawdown <= limits.max_drawdown and trades[index] * YEAR / days >= 150.0,
                returns=returns[:, index],
                closed=closed,
                passed=closed,
                blocked_wrongly=np.zeros(days, dtype=np.int64),
            )
        )
    return found


def gate_numbers(seed: int, true_sharpe: float, slope: float) -> dict[str, float]:
    """One market, searched for a year and judged on the next one."""
    rng = np.random.default_rng(seed)
    starts = draw_starts(rng, 2.0, true_sharpe, slope)
    found = search(rng, starts, YEAR, seed)
    theta = found.thetas[found.best : found.best + 1]
    returns = starts.returns(theta)[:, 0]
    judged = returns[YEAR:]
    distinct = np.unique(found.searched, axis=1)
    ratios = np.array([sharpe(column, YEAR) for column in distinct.T])
    overfitting = backtest_overfitting(distinct, ADOPTION.overfitting.blocks)
    own = found.searched[:, found.best]
    deflated = deflated_sharpe(own, np.array([sharpe(own, YEAR)]) if found.held else ratios, YEAR)
    taken = starts.trades(theta, starts.n_days)[0] - starts.trades(theta, YEAR)[0]
    approved = (
        sharpe(judged, YEAR) > 1.2
        and max_drawdown(np.concatenate(([1.0], np.cumprod(1.0 + judged)))) < 0.12
        and taken >= 150
        and probabilistic_sharpe(returns, 0.0) >= 0.95
    )
    return {
        "sharpe": sharpe(judged, YEAR),
        "approved": float(approved),
        "held": float(found.held),
        "dsr": deflated.probability,
        "adoption_dsr": probabilistic_sharpe(judged, 0.0),
        "pbo": overfitting.probability,
        "loss": overfitting.loss_probability,
    }


def study_search(repetitions: int) -> None:
    """Approvals without these statistics and with a limit on one of them; median and ninth decile of PBO and loss."""
    _say(" " * 35 + "with a limit on the DSR of the search, PBO, loss, DSR of the adoption, or all of the policy")
    _say("market            Sharpe  held     base |    >=0.3    >=0.5   >=0.95    <=0.5   <=0.75    >=0.9   policy")
    for name, true_sharpe, slope in MARKETS:
        rows = [gate_numbers(seed, true_sharpe, slope) for seed in range(repetitions)]
        of = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        base = of["approved"] > 0.0
        limits = (
            of["dsr"] >= 0.3,
            of["dsr"] >= 0.5,
            of["dsr"] >= 0.95,
            of["pbo"] <= 0.5,
            of["loss"] <= 0.75,
            of["adoption_dsr"] >= 0.9,
            (of["dsr"] >= ADOPTION.deflated_sharpe.search_min)
            & (of["adoption_dsr"] >= ADOPTION.deflated_sharpe.adoption_min)
            & (of["pbo"] <= ADOPTION.overfitting.probability_max)
            & (of["loss"] <= ADOPTION.overfitting.loss_probability_max),
        )
        shares = " ".join(f"{(base & passed).mean():8.3f}" for passed in limits)
        spread = " ".join(f"{np.quantile(of[key], share):5.2f}" for key in ("pbo", "loss") for share in (0.5, 0.9))
        start = f"{name:17s} {of['sharpe'].mean():6.2f} {of['held'].mean():5.2f} {base.mean():8.3f}"
        _say(f"{start} | {shares} | PBO, loss {spread}")


def study_luck(repetitions: int) -> None:
    """Highest annual Sharpe ratio among the θ of break-even markets, and the benchmarks that should equal its mean."""
    rows = []
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        tried = np.unique(search(rng, draw_starts(rng, 1.0, 0.0, 0.0), YEAR, seed).searched, axis=1)
        ratios = np.array([sharpe(column, YEAR) for column in tried.T])
        moving = tried[:, tried.std(axis=0) > 0.0]
        n = moving.shape[1]
        alike = (np.corrcoef(moving.T).sum() - n) / (n * (n - 1))
        fewer = alike + (1.0 - alike) * n
        chance = np.sqrt(YEAR / (YEAR - 1.0))
        rows.append(
            (
                ratios.max(),
                deflated_sharpe(tried[:, 0], ratios, YEAR).benchmark,
                ratios.std(ddof=1) * expected_maximum(tried.shape[1]),
                ratios.std(ddof=1) * expected_maximum(round(fewer)),
                chance * expected_maximum(round(fewer)),
                chance * expected_maximum(tried.shape[1]),
                tried.shape[1],
                fewer,
                ratios.std(ddof=1),
            )
        )
    names = ("highest", "benchmark", "no cap", "V, fewer", "chance, fewer", "chance, all", "N", "fewer", "sd")
    means = np.array(rows).mean(axis=0)
    _say("luck: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(names, means, strict=True)))


def study_months(repetitions: int, months: int) -> None:
    """A verdict a month on the newest twelve: approved at least once, and at the last, by least adoption DSR."""
    limits = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    _say(f"one verdict a month for {months} months; by least DSR on the adoption window: {limits}")
    step = YEAR // 12
    for true_sharpe in (0.0, 1.5, 2.0, 3.0, 4.0):
        ever = np.zeros(len(limits))
        last = np.zeros(len(limits))
        for seed in range(repetitions):
            rng = np.random.default_rng(seed)
            noise = rng.standard_t(5, 2 * YEAR + step * months) / np.sqrt(5.0 / 3.0)
            daily = 0.003 * (noise + true_sharpe / np.sqrt(YEAR))
            ratios: list[float] = []
            passed = np.zeros(len(limits), dtype=bool)
            now = passed
            for month in range(months):
                window = daily[step * month : step * month + 2 * YEAR]
                ratios.append(sharpe(window[YEAR:], YEAR))
                found = deflated_sharpe(window[YEAR:], np.array(ratios[-12:]), YEAR)
                base = ratios[-1] > 1.2 and probabilistic_sharpe(window, 0.0) >= 0.95
                now = np.array([base and found.probability >= limit for limit in limits])
                passed = passed | now
            ever += passed
            last += now
        _say(f"true Sharpe {true_sharpe:.1f}: ever {ever / repetitions}, last {last / repetitions}")


def study_pairs(repetitions: int) -> None:
    """Answers of the paired comparison, 240 shared days, correlation and true Sharpe ratios as named."""
    _say("correlation  Sharpe new, old | better  not worse  unproven")
    for correlation in (0.5, 0.8, 0.9, 0.95):
        for new, old in ((2.0, 2.0), (1.5, 2.0), (2.5, 2.0)):
            answers = []
            for seed in range(repetitions):
                rng = np.random.default_rng(seed)
                noise = rng.standard_t(5, (3, 240)) / np.sqrt(5.0 / 3.0)
                own = np.sqrt(1.0 - correlation) * noise[:2] + np.sqrt(correlation) * noise[2]
                pair = 0.003 * (own + np.array([[new], [old]]) / np.sqrt(YEAR))
                answers.append(
                    paired_difference(
                        pair[0], pair[1], ADOPTION.paired.model_copy(update={"resamples": 500}), YEAR, seed
                    ).answer.value
                )
            shares = [np.mean([each == name for each in answers]) for name in ("better", "not_worse", "unproven")]
            _say(f"{correlation:11.2f} {new:9.1f} {old:5.1f}  | {shares[0]:6.3f} {shares[1]:9.3f} {shares[2]:9.3f}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["search", "luck", "months", "pairs"]
    if "search" in wanted:
        study_search(200)
    if "luck" in wanted:
        study_luck(200)
    if "months" in wanted:
        study_months(400, 24)
    if "pairs" in wanted:
        study_pairs(400)
