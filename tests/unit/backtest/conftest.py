from __future__ import annotations

from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.config.settings import Settings

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The real markets' universe and costs, with a laptop's environment."""
    environment = load_settings(CONFIGS, "dev").environment
    return load_settings(CONFIGS, "prod").model_copy(update={"environment": environment})
