import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.core_policy import PositionScale
from core.errors import InputError
from core.signals.sizing import position_scale, round_lots, round_price

POLICY = PositionScale(risk_budget=0.004, minimum=0.2, maximum=1.0)


def test_scale_is_budget_over_excursion_within_bounds() -> None:
    excursion = [0.005, 0.004, 0.001, 0.1, 0.0, -0.01]
    assert position_scale(excursion, POLICY).tolist() == [0.8, 1.0, 1.0, 0.2, 1.0, 1.0]
    assert float(position_scale(0.008, POLICY)) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_excursion_that_is_not_finite_is_an_error(bad: float) -> None:
    with pytest.raises(InputError, match="SIGNAL_INPUT_EXCURSION"):
        position_scale([0.01, bad], POLICY)


def test_lots_by_hand() -> None:
    # 150,000 USD at 110,000 USD a lot: 1.36 lots, in steps of 0.01
    assert round_lots(150_000.0, 110_000.0, 0.01, 0.01, 0.0) == pytest.approx(1.36)
    assert round_lots(150_000.0, 110_000.0, 0.1, 0.1, 0.0) == pytest.approx(1.3)
    # three steps of 0.1 stay three although 0.3 / 0.1 is 2.9999… in floats
    assert round_lots(30_000.0, 100_000.0, 0.1, 0.1, 0.0) == pytest.approx(0.3)
    assert round_lots(9_999.0, 100_000.0, 0.01, 0.1, 0.0) == 0.0  # below min_lot
    assert round_lots(2_500.0, 100_000.0, 0.01, 0.01, 2_001.0) == 0.0  # 0.02 lots are 2,000 USD: below min_notional
    assert round_lots(2_500.0, 100_000.0, 0.01, 0.01, 2_000.0) == pytest.approx(0.02)


@given(
    st.floats(0, 1e8),
    st.floats(1.0, 1e7),
    st.sampled_from([0.001, 0.01, 0.1, 1.0]),
    st.integers(1, 50),
    st.floats(0, 1e5),
)
def test_lots_never_exceed_the_target_and_sit_on_the_grid(
    target: float, usd_per_lot: float, step: float, least_steps: int, min_notional: float
) -> None:
    lots = round_lots(target, usd_per_lot, step, least_steps * step, min_notional)
    assert lots * usd_per_lot <= target * (1 + 1e-12) + 1e-8 * step * usd_per_lot
    assert abs(lots / step - round(lots / step)) <= 1e-9 * max(1.0, lots / step)
    assert lots == 0.0 or (lots >= least_steps * step * (1 - 1e-9) and lots * usd_per_lot >= min_notional)


def test_fill_prices_round_against_the_trader() -> None:
    assert round_price(1.100012, 0.0001, True) == pytest.approx(1.1001)
    assert round_price(1.100092, 0.0001, False) == pytest.approx(1.1000)
    assert round_price(1.1, 0.0001, True) == pytest.approx(1.1)
    assert round_price(1.1, 0.0001, False) == pytest.approx(1.1)


@given(st.floats(0.01, 1e5), st.sampled_from([1e-5, 1e-3, 0.01, 0.25]))
def test_rounding_costs_at_most_one_tick(price: float, tick: float) -> None:
    bought, sold = round_price(price, tick, True), round_price(price, tick, False)
    assert sold - 1e-5 * tick <= price <= bought + 1e-5 * tick
    assert np.isclose(bought - sold, 0.0, atol=tick * 1e-3) or np.isclose(bought - sold, tick, rtol=1e-3)
