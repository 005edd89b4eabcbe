"""The recorded part of the configuration comes back as it went."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from core.config.loader import load_settings
from core.config.run_configuration import run_configuration, with_run_configuration
from core.errors import InputError
from tests.fixtures.config_tree import CONFIGS


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_is_recorded_replaces_what_is_at_hand_and_nothing_else(environment: str) -> None:
    recorded = load_settings(CONFIGS, environment)
    changed = recorded.retrain_policy.model_copy(update={"seed": 1})
    moved = recorded.ml_core_storage.model_copy(update={"runs_root": "elsewhere"})
    at_hand = recorded.model_copy(update={"retrain_policy": changed, "ml_core_storage": moved})
    content = orjson.loads(orjson.dumps(run_configuration(recorded)))
    back = with_run_configuration(at_hand, content)
    assert run_configuration(back) == run_configuration(recorded)
    assert back.retrain_policy == recorded.retrain_policy
    assert back.ml_core_storage is moved


@pytest.mark.parametrize("change", [{"core_policy": None}, {"retrain_policy": {"seed": 7}}])
def test_a_record_of_other_keys_is_refused(change: dict[str, Any]) -> None:
    settings = load_settings(CONFIGS, "dev")
    content = {
        name: value for name, value in run_configuration(settings).items() if change.get(name, value) is not None
    }
    content |= {name: value for name, value in change.items() if value is not None}
    with pytest.raises(InputError, match="CONFIG_RECORD_UNREADABLE") as caught:
        with_run_configuration(settings, content)
    assert next(iter(change)) in caught.value.message
