"""sources.yaml: where bars come from: file imports and the market simulator (SPEC DATA-1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from core.config.ml_core_storage import RelativeRoot
from core.config.model import (
    ConfigModel,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    Text,
)
from core.config.universe import LocalDay, SymbolName


class Columns(ConfigModel):
    """The vendor's column names."""

    ts: Text
    open: Text
    high: Text
    low: Text
    close: Text
    volume: Text


class FileLayout(ConfigModel):
    """How a vendor writes files; the import undoes it.

    `timezone` is the zone of naive stamps (IANA name); `stamp` says whether a stamp is the bar's open or close;
    `price_scale` is what the true price was multiplied by, with per-symbol exceptions; `price_decimals` the decimals of
    the true price per symbol (rounds float dust away; 0 = leave as is), `price_side` what the price is.
    """

    format: Literal["parquet", "csv"]
    file_name: Annotated[str, Field(pattern=r"\{symbol\}", description="e.g. {symbol}.parquet")]
    columns: Columns
    timestamp_format: Annotated[str, Field(description="strptime format of a text stamp; 'native' for typed columns")]
    timezone: Text
    stamp: Literal["open", "close"]
    price_side: Literal["bid", "mid"]
    price_scale: PositiveFloat
    price_scale_overrides: dict[SymbolName, PositiveFloat]
    price_decimals: NonNegativeInt
    price_decimals_overrides: dict[SymbolName, NonNegativeInt]


class FileProvider(ConfigModel):
    kind: Literal["file"]
    name: Name
    priority: PositiveInt
    root: RelativeRoot
    layout: FileLayout


def _finite_variance(degrees: float) -> float:
    if 0.0 < degrees <= 2.0:
        raise ValueError("Student's t has a variance only above 2 degrees of freedom (0: normal)")
    return degrees


class SimulatedPair(ConfigModel):
    """Leg B is a random walk; leg A = α + β·b + spread.

    The spread reverts to its mean with `half_life_bars` and a stationary sd of `spread_sd_bp`. half_life_bars 0 makes
    it a random walk, so there is no edge; its steps are then as large as those of a spread of that sd and 55 bars.
    With beta 0 as well, the legs are independent random walks.
    """

    a: SymbolName
    b: SymbolName
    beta: NonNegativeFloat
    half_life_bars: NonNegativeFloat
    spread_sd_bp: PositiveFloat
    price_a: PositiveFloat
    price_b: PositiveFloat


class SimulatedFaults(ConfigModel):
    """What goes wrong in the simulated market; rates are expected events a symbol and year, or a pair and year.

    A bad tick (symbol) comes back with the next bar; a jump (pair) moves both legs and stays; a gap (symbol) lacks 1 or
    2 bars inside a session, a long gap 3 to 8; in a regime break (pair) the spread wanders without reverting for
    `regime_break_bars` and then reverts to where it arrived.
    """

    bad_ticks_per_year: NonNegativeFloat
    jumps_per_year: NonNegativeFloat
    gaps_per_year: NonNegativeFloat
    long_gaps_per_year: NonNegativeFloat
    regime_breaks_per_year: NonNegativeFloat
    regime_break_bars: PositiveInt


class Simulator(ConfigModel):
    """A market made of disjoint pairs, `months` long from `start` (00:00 UTC), inside each symbol's calendar.

    `volatility_bp_per_bar` is the mean volatility of leg B, `volatility_clustering` the sd of its logarithm, and
    `spread_volatility_clustering` the same of the spread's steps. Steps of leg B and of the spread are normal, or
    Student's t of the same variance with `shock_degrees_of_freedom` (0: normal). Leg B drifts by `trend_bp_per_bar`, up
    or down with equal odds, drawn anew every `trend_bars` on average; leg A goes along with β. From the day
    `cointegration_ends` (00:00 UTC; or never) on, every spread is a random walk.
    """

    kind: Literal["simulator"]
    name: Name
    priority: PositiveInt
    seed: NonNegativeInt
    start: LocalDay
    months: PositiveInt
    volatility_bp_per_bar: PositiveFloat
    volatility_clustering: Share
    spread_volatility_clustering: Share
    shock_degrees_of_freedom: Annotated[NonNegativeFloat, AfterValidator(_finite_variance)]
    trend_bp_per_bar: NonNegativeFloat
    trend_bars: PositiveInt
    cointegration_ends: LocalDay | Literal["never"]
    pairs: Annotated[tuple[SimulatedPair, ...], Field(min_length=1)]
    faults: SimulatedFaults


Provider = Annotated[FileProvider | Simulator, Field(discriminator="kind")]


class Sources(ConfigModel):
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)]
