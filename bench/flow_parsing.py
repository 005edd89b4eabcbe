"""`python -m bench.flow_parsing`: what it costs to read each flow file in a fresh process that has Airflow loaded.

As the DAG processor reads them, tasks as containers. The last line is JSON: flow → {seconds of a processor, modules}.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
ROUNDS: Final = 3
_PROGRAM: Final = """
import json, runpy, sys, time
import airflow.dag_processing.dagbag, airflow.sdk
loaded, began = set(sys.modules), time.process_time()
runpy.run_path(sys.argv[1])
print(json.dumps([time.process_time() - began, len(set(sys.modules) - loaded)]))
"""
_SECRETS: Final = ("POSTGRES_URL", "REDIS_URL", "TWELVEDATA_API_KEY", "SLACK_WEBHOOK_URL", "PAGERDUTY_INTEGRATION_KEY")


def main() -> None:
    environment = {
        **os.environ,
        **{f"{name}_FILE": f"/run/secrets/{name.lower()}" for name in _SECRETS},
        "SERVICE_ENV": "prod",
        "CONFIG_ROOT": str(REPOSITORY / "configs"),
        "LOG_LEVEL": "INFO",
        "TZ": "UTC",
        "STORAGE_BACKEND": "local",
        "ARCHIVE_PATH": "/srv/archive",
        "PYTHONPATH": str(REPOSITORY),
    }
    found = {}
    for file in sorted((REPOSITORY / "dags").glob("core_*.py")):
        rounds = [_read(file, environment) for _ in range(ROUNDS)]
        seconds = statistics.median(each[0] for each in rounds)
        found[file.stem] = {"seconds": round(seconds, 3), "modules": int(rounds[0][1])}
        print(f"{file.stem:20} {seconds:6.2f} s {int(rounds[0][1]):5d} modules")
    print(json.dumps(found))


def _read(file: Path, environment: dict[str, str]) -> tuple[float, float]:
    command = [sys.executable, "-c", _PROGRAM, str(file)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, check=True
    )
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(modules)


if __name__ == "__main__":
    main()
