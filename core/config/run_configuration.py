"""The part of the configuration that is a run's: recorded with it, hashed, and read back (SPEC TRN-4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from core.config.settings import Settings
from core.errors import InputError

RUN_FILES: Final = ("core_policy", "retrain_policy", "pipeline_policy", "backtest_policy", "cost_table", "universe")
"""Configuration that changes what a run learns or how it is judged."""


@dataclass(frozen=True)
class Narrowing:
    """What a run is over: ids of its pairs, and how many of the newest months."""

    pairs: tuple[str, ...]
    history_months: int

    def __str__(self) -> str:
        return f"--pairs={','.join(self.pairs)} --history-months={self.history_months}"


def narrowing_of(recorded: Mapping[str, Any]) -> Narrowing:
    """Of a run's recorded configuration. Raises InputError where this code cannot read it."""
    try:
        pairs = tuple(str(pair["id"]) for pair in recorded["universe"]["pairs"])
        return Narrowing(pairs, int(recorded["retrain_policy"]["history_months"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("configuration", repr(error)) from error


def run_configuration(settings: Settings) -> dict[str, Any]:
    """RUN_FILES as JSON values, by file name without its ending."""
    return {name: getattr(settings, name).model_dump(mode="json") for name in RUN_FILES}


def with_run_configuration(settings: Settings, recorded: Mapping[str, Any]) -> Settings:
    """`settings` with RUN_FILES as they were recorded.

    Raises:
        InputError: a file is missing, or this code knows other keys than the record holds.
    """
    sections: dict[str, Any] = {}
    for name in RUN_FILES:
        model = type(getattr(settings, name))
        try:
            sections[name] = model.model_validate_json(json.dumps(recorded[name]), strict=True)
        except (KeyError, ValidationError) as error:
            raise _unreadable(name, str(error)) from error
    return settings.model_copy(update=sections)


def _unreadable(name: str, found: str) -> InputError:
    return InputError(
        "CONFIG_RECORD_UNREADABLE",
        f"the recorded {name} is not a configuration of this code: {' '.join(found.split())[:300]}",
        where="config.json",
        remedy="check out the code the record names; `verify` and params.yaml say which",
    )
