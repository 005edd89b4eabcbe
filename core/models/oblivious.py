"""CatBoost's oblivious trees as plain arrays, and their score of one row.

All nodes of a level of such a tree ask the same question, so the answers are the bits of the leaf's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from core.errors import InputError
from core.market.pairs import Floats, Ints


@dataclass(frozen=True)
class ObliviousTrees:
    """Trees one after another.

    Attributes:
        depth: int64 (t,), questions a tree asks.
        feature: int64 (Σ depth,), the column each question is about.
        border: float32 (Σ depth,), the value the column must exceed for the answer yes.
        leaves: float64 (Σ 2^depth,), each tree's values by leaf number, the first question being the lowest bit.
        scale, bias: score = scale × Σ leaves + bias.
    """

    depth: Ints
    feature: Ints
    border: NDArray[np.float32]
    leaves: Floats
    scale: float
    bias: float

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ObliviousTrees:
        """From CatBoost's JSON export.

        Raises:
            InputError: MODEL_ARTIFACT_UNREADABLE when the model is not of oblivious trees over numbers.
        """
        try:
            trees = content["oblivious_trees"]
            splits = [split for tree in trees for split in tree["splits"]]
            scale, (bias,) = content["scale_and_bias"]
            return cls(
                depth=np.array([len(tree["splits"]) for tree in trees], dtype=np.int64),
                feature=np.array([split["float_feature_index"] for split in splits], dtype=np.int64),
                border=np.array([split["border"] for split in splits], dtype=np.float32),
                leaves=np.array([value for tree in trees for value in tree["leaf_values"]], dtype=np.float64),
                scale=float(scale),
                bias=float(bias),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "MODEL_ARTIFACT_UNREADABLE",
                f"the trees are not oblivious ones over numbers: {error!r}",
                where="CatBoost's JSON export",
                remedy="take the model from a verified bundle, or train again",
            ) from error


@njit(cache=True, error_model="numpy")
def score_row(
    row: NDArray[np.float32],
    depth: Ints,
    feature: Ints,
    border: NDArray[np.float32],
    leaves: Floats,
    scale: float,
    bias: float,
) -> float:
    """Raw score of one row (k,), to the last bit what CatBoost gives."""
    total = 0.0
    question = 0
    first_leaf = 0
    for tree in range(depth.shape[0]):
        leaf = 0
        for level in range(depth[tree]):
            leaf |= (row[feature[question]] > border[question]) << level
            question += 1
        total += leaves[first_leaf + leaf]
        first_leaf += 1 << depth[tree]
    return float(scale * total + bias)
