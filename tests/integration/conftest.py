"""What integration tests of several tasks share."""

from __future__ import annotations

import pytest

from laptop.servers import EmbeddedPostgres
from tests.fixtures.tiny_market import TinyMarket


@pytest.fixture(scope="session")
def tiny_market(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, _migrated_template: str
) -> TinyMarket:
    """A lake of simulated bars and the run catalog identified over it."""
    url = postgres_server.create_database("tiny_market", template=_migrated_template)
    return TinyMarket.make(tmp_path_factory.mktemp("tiny-market"), url)
