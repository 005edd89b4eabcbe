"""A real Prometheus scrapes the real exporter after real tasks: nothing of a task is lost when its process is."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from laptop.stack import free_ports
from tasks.metrics_exporter import MetricsExporter
from tests.fixtures import markets
from tests.fixtures.command_line import Command
from tests.integration.telemetry.metrics import task_metrics
from tests.integration.telemetry.test_observability_files import PROMETHEUS, rules


class Prometheus:
    """What a running server knows."""

    def __init__(self, url: str, log: Path) -> None:
        self._client = httpx.Client(base_url=url, timeout=10.0)
        self._log = log

    def get(self, path: str, **parameters: str) -> Any:
        return self._client.get(f"/api/v1/{path}", params=parameters).raise_for_status().json()["data"]

    def wait_for(self, expression: str, expected: float) -> None:
        """Until the expression has this one value."""
        found: list[float] = []
        for _ in range(300):
            try:
                found = [float(each["value"][1]) for each in self.get("query", query=expression)["result"]]
            except httpx.TransportError:
                found = []
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
            if found == [expected]:
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"{expression} is {found}, not {expected}\n{self._log.read_text()}")


@contextmanager
def running(binary: str, folder: Path, scraped: int) -> Iterator[Prometheus]:
    """The product's configuration and rules, scraping `scraped` on this machine twice a second."""
    content = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    content["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    content["rule_files"] = [str(PROMETHEUS / pattern) for pattern in content["rule_files"]]
    content["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{scraped}"]
    configuration, log, (port,) = folder / "prometheus.yml", folder / "log", free_ports(1)
    configuration.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = [
        binary,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("w") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as server:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}", log)
        finally:
            server.terminate()


@pytest.fixture
def command(tmp_path: Path, registry_url: str, redis_url: str) -> Command:
    return Command.over(markets.tiny(tmp_path), tmp_path / "archive", registry_url, redis_url)


def test_what_tasks_found_reaches_prometheus_and_outlives_the_exporter(
    prometheus: str, tmp_path: Path, command: Command, registry_url: str, redis_url: str
) -> None:
    command.last_line("ingest", "--shard", "1/2", trace_id="c1")
    imported = command.last_line("ingest", trace_id="c1")
    assert command.run("features", "--run-id", "unknown", trace_id="c1").exit_code == 20
    first = MetricsExporter(task_metrics(registry_url, redis_url), port=0)
    with first:
        port = first.port
        with running(prometheus, tmp_path, port) as server:
            server.wait_for("data_bars_written_total", imported["metrics"]["bars_written"])
            server.wait_for('core_task_runs_total{task="ingest", exit_code="0"}', 2)
            server.wait_for('core_task_duration_seconds_count{task="ingest", part="shard"}', 1)
            server.wait_for('core_task_runs_total{task="features", exit_code="20"}', 1)
            server.wait_for(
                "data_watermark_lag_seconds", imported["metrics"]["as_of"] - imported["metrics"]["watermark"]
            )
            first.__exit__(None, None, None)
            server.wait_for('up{job="ml-assets-core"}', 0)
            assert command.outputs("ingest", trace_id="c2")["bars_written"] == 0
            with MetricsExporter(task_metrics(registry_url, redis_url), port):
                server.wait_for('up{job="ml-assets-core"}', 1)
                server.wait_for('core_task_runs_total{task="ingest", exit_code="0"}', 3)
                server.wait_for('core_task_duration_seconds_count{task="ingest", part="whole"}', 2)
                server.wait_for("data_bars_written_total", imported["metrics"]["bars_written"])
                for counter in ("core_task_runs_total", "data_bars_written_total", "core_task_duration_seconds_sum"):
                    server.wait_for(f"sum(resets({counter}[10m]))", 0)
                server.wait_for("count(core_metrics_source_up == 1)", 2)
                groups = server.get("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
    assert {rule["health"] for rule in loaded} == {"ok"}
