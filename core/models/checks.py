"""Whether there is enough, and varied enough, to learn from."""

from __future__ import annotations

from core.config.retrain_policy import RetrainPolicy
from core.errors import BlockedError
from core.models.samples import Pool
from core.models.windows import Windows


def check_pool(pool: Pool, windows: Windows, policy: RetrainPolicy) -> dict[str, float]:
    """Base rates of AI1 and AI2 over all labelled starts.

    Raises:
        BlockedError: MODEL_STARTS_FEW when fewer than min_starts labelled starts precede the first prediction;
            MODEL_LABEL_DEGENERATE when a base rate lies outside base_rate_limits.
    """
    samples = pool.samples
    known = int(samples.known_before(windows.first_prediction).sum())
    if known < policy.min_starts:
        raise BlockedError(
            "MODEL_STARTS_FEW",
            f"{known} labelled starts of {len(pool.pair_ids)} pairs precede the first prediction; "
            f"{policy.min_starts} are needed",
            where="retrain_policy.yaml min_starts",
            remedy="add pairs to universe.yaml, import a longer history, or lower min_starts",
        )
    low, high = policy.base_rate_limits
    rates: dict[str, float] = {}
    for name, labels in (("ai1", samples.ai1), ("ai2", samples.ai2)):
        rate = rates[name] = float(labels[samples.labelled].mean())
        if not low <= rate <= high:
            raise BlockedError(
                "MODEL_LABEL_DEGENERATE",
                f"{rate:.1%} of the labels of {name} are 1, outside {low:.0%} to {high:.0%}",
                where=f"core_policy.yaml label.{name}",
                remedy="check the label's limits against these bars",
            )
    return rates
