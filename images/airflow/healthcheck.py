"""Exits with 0 where a component of Airflow beats, as the API server reports it: `healthcheck.py scheduler`.

`api-server` is healthy when it answers; scheduler, dag_processor and triggerer when their last beat is recent; `worker`
when it serves its logs.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from typing import Final

LOG_SERVER_PORT: Final = 8793
TIMEOUT_SECONDS: Final = 10


def main(component: str) -> int:
    """0 where `component` is healthy, else 1 with a word on standard error."""
    if component == "worker":
        socket.create_connection(("127.0.0.1", LOG_SERVER_PORT), TIMEOUT_SECONDS).close()
        return 0
    address = os.environ["API_SERVER_URL"] + "/api/v2/monitor/health"
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own address
        health = json.load(answer)
    parts = ["metadatabase"] if component == "api-server" else ["metadatabase", component]
    silent = [part for part in parts if health[part]["status"] != "healthy"]
    if silent:
        sys.stderr.write(f"not healthy: {', '.join(silent)}\n")
    return len(silent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
