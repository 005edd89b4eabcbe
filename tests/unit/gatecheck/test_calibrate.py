"""The closing line of a calibration: means by spread, and where they cross 0."""

from __future__ import annotations

from gatecheck.calibrate import closing
from gatecheck.true_sharpe import Measured


def _measured(*sharpes: float) -> list[Measured]:
    return [Measured(8, sharpe, 0.2, 150.0) for sharpe in sharpes]


def test_the_crossing_lies_on_the_line_between_the_spreads_that_enclose_it() -> None:
    found = {14.0: _measured(1.0, 2.0), 11.0: _measured(-0.4, -0.6), 9.0: _measured(-2.0)}
    assert closing(found) == {
        "sharpe": {"9": -2.0, "11": -0.5, "14": 1.5},
        "markets": {"14": 2, "11": 2, "9": 1},
        "break_even_spread_sd_bp": 11.75,
    }


def test_spreads_that_do_not_enclose_0_and_markets_without_a_verdict_have_no_crossing() -> None:
    assert closing({11.0: _measured(0.1), 14.0: _measured(1.0)})["break_even_spread_sd_bp"] is None
    assert closing({11.0: [], 14.0: _measured(1.0)}) == {
        "sharpe": {"14": 1.0},
        "markets": {"11": 0, "14": 1},
        "break_even_spread_sd_bp": None,
    }
    assert closing({})["sharpe"] == {}
