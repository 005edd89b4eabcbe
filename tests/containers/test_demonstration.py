"""The whole system in containers on the simulated market, and what may not be seen in it."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, Final

import pytest

from compose.engine import TASK_LABEL
from compose.stack import REPOSITORY
from compose.trigger import CHAIN
from tests.containers.conftest import Demonstration
from tests.containers.running_stack import RunningStack, engine, until

RUN: Final = "demonstration"
UP_SECONDS: Final = 90
CHAIN_SECONDS: Final = 600
SECRETS: Final = (
    "postgres_superuser",
    "postgres_core",
    "postgres_airflow",
    "redis_core",
    "redis_celery",
    "redis_health",
)
TOKENS: Final = ("airflow_jwt_secret", "airflow_api_secret", "airflow_fernet_key", "airflow_admin", "airflow_operator")


@pytest.fixture(scope="module")
def ended(demonstration: Demonstration) -> dict[str, Any]:
    """The chain, triggered through the REST API and followed to its end; what was seen of its containers on the way."""
    stack = demonstration.stack
    started = time.monotonic()
    stack.trigger(RUN, reason='demonstration: ünïcode and "quotes"')
    container = stack.started(RUN, "train", CHAIN_SECONDS)
    seen = json.loads(engine("inspect", container))[0]
    users = engine("top", container, "-eo", "pid,uid,args").splitlines()[1:]
    stack.finished(RUN, CHAIN_SECONDS)
    return {"stack": stack, "container": seen, "users": users, "seconds": time.monotonic() - started}


def test_it_comes_up_and_deploys_in_time(demonstration: Demonstration, ended: dict[str, Any]) -> None:
    print(f"\nmake up {demonstration.seconds_up:.0f} s, chain {ended['seconds']:.0f} s")  # noqa: T201
    assert demonstration.seconds_up <= UP_SECONDS
    assert ended["seconds"] <= CHAIN_SECONDS


def test_the_model_is_deployed_and_its_signal_is_there(ended: dict[str, Any]) -> None:
    stack: RunningStack = ended["stack"]
    published = stack.handed_on(CHAIN[-1], RUN, "publish")["outputs"]
    assert published["status"] == "deployed"
    version = published["model_version"]
    assert stack.sql("SELECT model_version, status FROM core.model_registry") == [[version, "deployed"]]
    assert stack.command("verify", "--model-version", version)["outputs"]["model_version"] == version
    signal = stack.handed_on(CHAIN[-1], RUN, "infer")["outputs"]["signal"]
    assert signal["model_version"] == version
    assert stack.redis("HEXISTS", "core:signals:latest", signal["pair_id"]) == "1"
    assert stack.redis("HGET", "core:models:deployed", "model_version") == version


def test_every_image_runs_as_an_ordinary_user_with_no_right_it_does_not_need(ended: dict[str, Any]) -> None:
    stack: RunningStack = ended["stack"]
    containers = engine("ps", "--quiet", "--filter", f"label=com.docker.compose.project={stack.name}").split()
    assert len(containers) >= 8
    described = [*json.loads(engine("inspect", *containers)), ended["container"]]
    for each in described:
        host = each["HostConfig"]
        assert not host["Privileged"]
        assert host["ReadonlyRootfs"], each["Name"]
        assert host["CapDrop"] == ["ALL"]
        assert any("no-new-privileges" in option for option in host["SecurityOpt"])
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    sockets = [
        each["Name"] for each in described if any("docker.sock" in bind for bind in each["HostConfig"]["Binds"] or [])
    ]
    assert [name.strip("/") for name in sockets] == [
        engine("inspect", "--format", "{{.Name}}", stack.container("engine-proxy")).strip("/")
    ]
    for container in containers:
        users = {line.split()[1] for line in engine("top", container, "-eo", "pid,uid,args").splitlines()[1:]}
        assert "0" not in users, (container, users)
    assert {line.split()[1] for line in ended["users"]} == {"10001"}


def test_no_secret_shows_anywhere(ended: dict[str, Any]) -> None:
    """In no container's description, no task's log, no rendered template, no XCom, no file below the archive."""
    stack: RunningStack = ended["stack"]
    secrets = {name: stack.secret(name) for name in (*SECRETS, *TOKENS)}
    containers = engine("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={stack.name}").split()
    seen = {"inspect": engine("inspect", *containers) + json.dumps(ended["container"])}
    admin = stack.airflow("admin")
    for flow in CHAIN:
        for task in stack.tasks(flow, RUN):
            name = task["task_id"]
            seen[f"rendered template of {name}"] = json.dumps(task)
            if task["state"] == "success" and task["operator_name"] == "ContainerTask":
                seen[f"log of {flow}.{name}"] = stack.log(flow, RUN, name)
                path = f"/dags/{flow}/dagRuns/{RUN}/taskInstances/{name}/xcomEntries"
                for entry in admin.get(path)["xcom_entries"]:
                    seen[f"XCom of {flow}.{name}"] = json.dumps(admin.get(f"{path}/{entry['key']}"))
    seen["logs of the services"] = "".join(engine("logs", each, check=False) for each in containers)
    seen["files of the archive and of Airflow's logs"] = _files_holding(stack, list(secrets.values()))
    assert len(seen) > 20
    assert "core_publish_flow" in seen["log of core_publish_flow.publish"], "the logs were not read"
    assert _files_holding(stack, ["model_version"]), "the files were not read"
    shown = [(place, name) for place, text in seen.items() for name, value in secrets.items() if value in text]
    assert shown == []


def test_metrics_outlive_the_tasks_and_the_watcher(ended: dict[str, Any]) -> None:
    stack: RunningStack = ended["stack"]
    before = _metrics(stack)
    assert before['core_task_runs_total{exit_code="0",task="train"}'] == 1
    assert before["core_theta_trials_total"] > 0
    assert before["data_bars_written_total"] > 100_000
    engine("restart", stack.container("watch"))
    after = until("the watcher's metrics", lambda: _metrics(stack), 60)
    assert {name: after.get(name) for name in before if name.endswith("_total")} == {
        name: value for name, value in before.items() if name.endswith("_total")
    }


def test_a_gate_links_to_its_report_and_only_a_user_may_read_it(ended: dict[str, Any]) -> None:
    stack: RunningStack = ended["stack"]
    links = stack.airflow().get(f"/dags/{CHAIN[0]}/dagRuns/{RUN}/taskInstances/gate-canonical/links")
    link = links["extra_links"]["Report"]
    address = link if link.startswith("http") else f"http://127.0.0.1:{stack.port}{link}"
    with pytest.raises(urllib.error.HTTPError, match=r"40[13]"):
        urllib.request.urlopen(address, timeout=10)  # noqa: S310
    page = stack.airflow("viewer").page(address)
    assert "values must never be null" in page


def test_no_container_of_a_task_is_left(ended: dict[str, Any]) -> None:
    assert (
        engine(
            "ps", "--all", "--quiet", "--filter", f"label={TASK_LABEL}", "--filter", f"network={ended['stack'].name}"
        )
        == ""
    )
    assert (REPOSITORY / ".stack" / ended["stack"].name / "secrets").stat().st_mode & 0o077 == 0


def _metrics(stack: RunningStack) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def _files_holding(stack: RunningStack, values: list[str]) -> str:
    """The secrets found in files of the archive and of Airflow's logs, joined."""
    image = engine("inspect", "--format", "{{.Config.Image}}", stack.container("watch"))
    volumes = [word for name in ("archive", "airflow-logs") for word in ("-v", f"{stack.name}-{name}:/srv/{name}:ro")]
    shell = "grep -rhoaF -f /dev/stdin /srv/archive /srv/airflow-logs || true"
    return engine(
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        *volumes,
        "--entrypoint",
        "sh",
        image,
        "-c",
        shell,
        given="\n".join(values),
    )
