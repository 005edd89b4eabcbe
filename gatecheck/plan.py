"""Which markets are run, and how many approvals of each group are too many or too few."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import ValidationError

from core.config.model import ConfigModel, Name, NonNegativeInt, PositiveInt, Share
from core.errors import InputError

SHIPPED: Final = Path(__file__).parent / "markets.yaml"

Group = Literal["no_edge", "edge", "break_even"]


class Seeds(ConfigModel):
    """`count` seeds from `first` on, a market each."""

    first: NonNegativeInt
    count: PositiveInt


class MarketKind(ConfigModel):
    """Markets alike but for their seed: changes to the simulator's keys and to those of each of its pairs."""

    kind: Name
    seeds: Seeds
    market: dict[str, Any]
    pairs: dict[str, Any]


class Targets(ConfigModel):
    """Shares of a group's markets that may, or must, be approved."""

    no_edge_approved_max: Share
    edge_approved_min: Share
    break_even_approved_max: Share


class Plan(ConfigModel):
    """A plan file: the first `pairs` pairs of the dev universe, with `settings` (file → dotted key → value) changed."""

    pairs: PositiveInt
    settings: dict[Name, dict[str, Any]]
    targets: Targets
    no_edge: tuple[MarketKind, ...]
    edge: tuple[MarketKind, ...]
    break_even: tuple[MarketKind, ...]


@dataclass(frozen=True)
class Market:
    """One simulated market; `group` says what is true of it."""

    name: str
    group: Group
    kind: MarketKind
    seed: int

    @property
    def half_life(self) -> float:
        """Half-life of the spreads in bars; 0 where they do not revert."""
        return float(self.kind.pairs["half_life_bars"])


def read_plan(path: Path) -> Plan:
    """Read a plan file. Raises InputError where it is absent or wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan.model_validate_json(json.dumps(content), strict=True)
    except (OSError, yaml.YAMLError, TypeError, ValidationError) as error:
        raise InputError(
            "GATECHECK_PLAN_INVALID",
            f"the plan of markets cannot be used: {' '.join(str(error).split())}",
            where=str(path),
            remedy=f"write it as {SHIPPED.name} is written",
        ) from error


def markets_of(plan: Plan, groups: tuple[Group, ...]) -> list[Market]:
    """The markets of these groups, kinds mixed so that an unfinished run has seen some of each."""
    found: list[tuple[float, Market]] = []
    for group in groups:
        ranked = [
            (rank, Market(f"{kind.kind}_{seed}", group, kind, seed))
            for kind in getattr(plan, group)
            for rank, seed in enumerate(range(kind.seeds.first, kind.seeds.first + kind.seeds.count))
        ]
        ranked.sort(key=lambda each: each[0])
        found += [(place / len(ranked), market) for place, (_, market) in enumerate(ranked)]
    found.sort(key=lambda each: each[0])
    return [market for _, market in found]
