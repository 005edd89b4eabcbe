from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.thresholds.gain import GainInterval
from core.thresholds.stabiliser import ChosenTheta, Theta, choose_theta
from tests.unit.thresholds.surfaces import RANGES, SEARCH

SURE = GainInterval(gain=0.05, low=0.01, high=0.09)
LUCK = GainInterval(gain=0.05, low=-0.01, high=0.11)


def choose(
    previous: Theta,
    found: Theta | None,
    interval: GainInterval | None = SURE,
    *,
    deployed: bool = True,
    n_starts: int = 1_000,
) -> ChosenTheta:
    return choose_theta(previous, found, interval, deployed=deployed, n_starts=n_starts, policy=SEARCH, ranges=RANGES)


def test_a_deployed_theta_moves_by_thirty_percent_and_at_most_the_step() -> None:
    chosen = choose((0.70, 0.30), (0.75, 0.25))
    assert chosen.status == "moved"
    assert (chosen.theta1, chosen.theta2) == pytest.approx((0.715, 0.285))  # 0.7 × 0.70 + 0.3 × 0.75
    chosen = choose((0.62, 0.44), (0.85, 0.20))
    assert (chosen.theta1, chosen.theta2) == pytest.approx((0.65, 0.41))  # 0.069 and 0.072 are cut to 0.03


def test_without_a_deployed_model_the_found_theta_is_taken_as_it_is() -> None:
    chosen = choose((0.70, 0.30), (0.62, 0.43), deployed=False)
    assert (chosen.theta1, chosen.theta2, chosen.status) == (0.62, 0.43, "found")


def test_the_range_comes_last() -> None:
    assert choose((0.50, 0.30), (0.60, 0.30)).theta1 == 0.60


@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize(
    ("found", "interval", "n_starts", "said"),
    [
        ((0.8, 0.4), LUCK, 1_000, "luck"),
        (None, None, 1_000, "limits"),
        ((0.8, 0.4), SURE, 99, "99 starts"),
    ],
)
def test_theta_is_held(
    found: Theta | None, interval: GainInterval | None, n_starts: int, said: str, deployed: bool
) -> None:
    chosen = choose((0.71, 0.31), found, interval, deployed=deployed, n_starts=n_starts)
    assert (chosen.theta1, chosen.theta2, chosen.status) == (0.71, 0.31, "held")
    assert said in chosen.reason


thetas = st.tuples(st.floats(0.60, 0.85), st.floats(0.20, 0.45))


@given(thetas, thetas)
def test_a_move_stays_in_range_within_the_step_and_between_previous_and_found(previous: Theta, found: Theta) -> None:
    chosen = choose(previous, found)
    for before, after, wanted, bounds in zip(
        previous, (chosen.theta1, chosen.theta2), found, (RANGES.theta1, RANGES.theta2), strict=True
    ):
        assert bounds[0] <= after <= bounds[1]
        assert abs(after - before) <= SEARCH.step_max + 1e-12
        assert min(before, wanted) - 1e-12 <= after <= max(before, wanted) + 1e-12
