"""Walk-forward windows: worked examples and tiling."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.config.retrain_policy import WalkForward
from core.errors import BlockedError
from core.models.windows import plan_windows, weekdays_observed

HOUR = 3600
POLICY = WalkForward(first_training_days=360, step_months=1, adoption_window_months=12)


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _hours(first: str, last: str) -> NDArray[np.int64]:
    return np.arange(_at(first), _at(last) + 1, HOUR, dtype=np.int64)


def test_windows_of_three_years_by_hand() -> None:
    windows = plan_windows(_hours("2019-03-01T00:00", "2022-03-04T21:00"), HOUR, POLICY)
    assert windows.first_prediction == windows.theta_start == _at("2020-02-24T00:00")
    assert windows.theta_end == windows.adoption_start == _at("2021-03-04T22:00")
    assert windows.adoption_end == _at("2022-03-04T22:00")
    assert [step.name for step in windows.steps[:2]] == ["2020-02", "2020-03"]
    assert (windows.steps[0].end, windows.steps[1].end) == (_at("2020-03-01T00:00"), _at("2020-04-01T00:00"))
    assert windows.steps[-1].name == "2022-03"
    assert windows.steps[-1].end == windows.adoption_end


def test_data_left_out_is_not_counted_as_learned() -> None:
    whole = _hours("2019-01-01T00:00", "2022-01-01T00:00")
    hole = (whole >= _at("2019-06-01T00:00")) & (whole < _at("2019-07-01T00:00"))
    moved = (
        plan_windows(whole[~hole], HOUR, POLICY).first_prediction - plan_windows(whole, HOUR, POLICY).first_prediction
    )
    assert moved == 30 * 24 * HOUR


def test_weekdays_with_a_bar_are_counted_by_hand() -> None:
    # Friday 1 to Monday 11 March 2019: seven weekdays; Tuesday has no bar, Sunday's late bars do not count as a day
    bars = _hours("2019-03-01T00:00", "2019-03-11T23:00")
    start, end = _at("2019-03-01T00:00"), _at("2019-03-12T00:00")
    assert weekdays_observed(bars, start, end) == 7
    tuesday = (bars >= _at("2019-03-05T00:00")) & (bars < _at("2019-03-06T00:00"))
    assert weekdays_observed(bars[~tuesday], start, end) == 6
    assert weekdays_observed(bars, start + 1, _at("2019-03-11T00:00")) == 6
    assert weekdays_observed(bars[:0], start, end) == 0


@given(hours=st.integers((360 + 366) * 24 + 2, 40_000), months=st.integers(1, 4), offset=st.integers(0, 20_000))
def test_steps_tile_the_predicted_period(hours: int, months: int, offset: int) -> None:
    usable = np.arange(offset, offset + hours, dtype=np.int64) * HOUR
    policy = WalkForward(first_training_days=360, step_months=months, adoption_window_months=12)
    windows = plan_windows(usable, HOUR, policy)
    edges = [windows.first_prediction, *(step.end for step in windows.steps)]
    assert [step.start for step in windows.steps] == edges[:-1]
    assert edges[-1] == windows.adoption_end == usable[-1] + HOUR
    assert windows.first_prediction - usable[0] == 360 * 24 * HOUR
    assert windows.first_prediction < windows.adoption_start < windows.adoption_end
    starts = [datetime.fromtimestamp(step.start, UTC) for step in windows.steps]
    assert all((moment.day, moment.hour) == (1, 0) for moment in starts[1:])
    assert [step.name for step in windows.steps] == [f"{moment:%Y-%m}" for moment in starts]


@pytest.mark.parametrize("last", ["2019-02-01T00:00", "2020-06-01T00:00"])
def test_a_short_history_blocks(last: str) -> None:
    with pytest.raises(BlockedError, match="MODEL_HISTORY_SHORT"):
        plan_windows(_hours("2019-01-01T00:00", last), HOUR, POLICY)


def test_no_usable_bar_blocks() -> None:
    with pytest.raises(BlockedError, match="0 days of usable bars"):
        plan_windows(np.empty(0, dtype=np.int64), HOUR, POLICY)
