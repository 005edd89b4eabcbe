"""Runs a chain of three pairs once while the image is built: every kernel is compiled into NUMBA_CACHE_DIR."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from laptop.servers import EmbeddedPostgres, EmbeddedRedis
from tests.e2e.chain import Chain, assert_passed
from tests.fixtures import markets


def main() -> None:
    """Run the chain; its models are thrown away."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", durable=False) as postgres, EmbeddedRedis(folder / "redis") as redis:
            chain = Chain.at(folder, markets.small(folder), postgres.create_database("core"), redis.url)
            chain.prepare()
            assert_passed(chain.run())
    sys.stdout.write("Compiled.\n")


if __name__ == "__main__":
    main()
