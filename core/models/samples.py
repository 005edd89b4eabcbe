"""All pairs' label starts as one pool, in time order."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from core.market.pairs import Floats, Ints


@dataclass(frozen=True)
class Samples:
    """One row a start, sorted by (ts, pair). Times are epoch seconds UTC.

    Attributes:
        number: int64, the row's place in the pool; it stays with the row through every `take`.
        pair: int64, index into the sorted pair ids of the pool.
        bar: int64, the decision bar t in its pair's bars.
        ts: int64, open of bar t.
        rows: float64 (n, k), the model inputs, unscaled.
        z: float64, z of bar t.
        ai1, ai2, ai3: float64 labels, NaN where the window is cut off.
        window_start, window_end: when the decision is taken and when the label is known: the closes of bars t and
            t + M in the pair's own bars.
        purged_end: close of bar t + M + purge_bars.
        embargoed_start: close of bar t − embargo_bars.
    """

    number: Ints
    pair: Ints
    bar: Ints
    ts: Ints
    rows: Floats
    z: Floats
    ai1: Floats
    ai2: Floats
    ai3: Floats
    window_start: Ints
    window_end: Ints
    purged_end: Ints
    embargoed_start: Ints

    def __len__(self) -> int:
        return int(self.ts.shape[0])

    def take(self, which: NDArray[np.bool_] | Ints) -> Samples:
        """The rows chosen by a mask or by indices."""
        return replace(self, **{field.name: getattr(self, field.name)[which] for field in fields(self)})

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Rows whose label window is whole: bool (n,)."""
        return np.isfinite(self.ai1) & np.isfinite(self.ai2) & np.isfinite(self.ai3)

    def known_before(self, moment: int) -> NDArray[np.bool_]:
        """Labelled rows whose label window and the purge after it have ended at `moment`: bool (n,)."""
        return self.labelled & (self.purged_end <= moment)


@dataclass(frozen=True)
class Pool:
    """What the models learn from.

    Attributes:
        pair_ids: sorted; `samples.pair` points into it.
        columns: names of the columns of `samples.rows`.
        timeline: int64, sorted unique opens (epoch seconds UTC) of bars with complete features, over all pairs.
        timeframe_seconds: length of a bar.
    """

    pair_ids: tuple[str, ...]
    columns: tuple[str, ...]
    timeline: Ints
    timeframe_seconds: int
    samples: Samples
