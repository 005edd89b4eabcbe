"""What Airflow reads from the flow files, and the policies every flow keeps."""

from __future__ import annotations

import copy
import datetime
import itertools
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from core.config.loader import load_settings
from dags.factory.operators import KINDS
from dags.factory.outcome import RETRY_POLICY
from dags.factory.tags import Tag
from laptop.flows import FLOWS
from tests.unit.dags.conftest import DOCKER, PROCESS, REPOSITORY, load_flows

FILES = sorted((REPOSITORY / "dags").glob("core_*.py"))
HEAVY = {"numpy", "pandas", "pyarrow", "catboost", "redis", "fastapi", "tasks"}
SETTINGS = load_settings(REPOSITORY / "configs", "dev")
SETTINGS_STG = load_settings(REPOSITORY / "configs", "stg")
PARTS = {
    "ingest-shards": "core_retrain_flow",
    "features-shards": "core_retrain_flow",
    "train-shards": "core_retrain_flow",
    "theta-shards": "core_theta_opt_flow",
}


def test_flow_files_import_and_hold_exactly_the_four_flows(process_flows: Any, docker_flows: Any) -> None:
    for flows in (process_flows, docker_flows):
        assert flows.import_errors == {}
        assert set(flows.dags) == set(FLOWS)
        assert {Path(dag.fileloc).stem for dag in flows.dags.values()} == set(FLOWS)
        assert len(flows.dagbag_stats) == len(FLOWS), "a file of the factory was read as a flow"


def test_a_broken_flow_file_is_reported(tmp_path: Path) -> None:
    environment = {**PROCESS, "CONFIG_ROOT": str(tmp_path)}
    errors = load_flows(environment).import_errors
    assert len(errors) == len(FLOWS)
    assert all("CONFIG_SCHEMA_INVALID" in text for text in errors.values())


def test_the_launcher_shows_the_tasks_the_flows_have(process_flows: Any) -> None:
    for dag_id, names in FLOWS.items():
        order = [task.task_id for task in process_flows.dags[dag_id].topological_sort()]
        shown = [name for name in order if name not in {"start_next", "deployed", "record-run"}]
        assert tuple(shown) == names


def test_flows_chain_in_order_under_one_trace(process_flows: Any) -> None:
    ids = list(FLOWS)
    for dag_id, following in itertools.pairwise(ids):
        trigger = process_flows.dags[dag_id].get_task("start_next")
        assert trigger.trigger_dag_id == following
        assert trigger.trigger_run_id == "{{ params.trace_id or run_id }}"
        assert trigger.logical_date is None
    assert not process_flows.dags[ids[-1]].has_task("start_next")


@pytest.mark.parametrize("dag_id", FLOWS)
def test_every_flow_keeps_the_policy(docker_flows: Any, dag_id: str) -> None:
    dag, settings = docker_flows.dags[dag_id], SETTINGS_STG
    policy, retries = settings.retrain_policy, settings.retrain_policy.retries
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.doc_md
    assert dag.tags
    assert set(dag.tags) <= {tag.value for tag in Tag}
    assert dag.is_paused_upon_creation is settings.environment.retrain_paused
    for task in dag.tasks:
        assert task.owner == settings.environment.alert_recipient
        assert task.retries == retries.count <= 2
        assert task.retry_delay == datetime.timedelta(seconds=retries.delay_seconds)
        assert task.retry_exponential_backoff == 2.0
        assert task.max_retry_delay == datetime.timedelta(seconds=retries.max_delay_seconds)
        name = task_of(task)
        seconds = policy.task_timeout_seconds.of(name) if name else policy.task_timeout_seconds.general
        assert task.execution_timeout == datetime.timedelta(seconds=seconds)
        kind = KINDS[name] if name else "publishing" if task.task_id == "approve" else "control"
        assert task.pool == getattr(settings.environment.pools, kind).name
        if name:
            assert task.retry_policy is RETRY_POLICY


def task_of(operator: Any) -> str | None:
    """The task a task or its parts run, None for the wiring."""
    command = getattr(operator, "command", None) or getattr(operator, "expand_input", None)
    if command is None:
        return None
    words = command if isinstance(command, list) else command.value["command"][0]
    return str(words[7])


def test_every_task_of_the_chain_has_a_kind_and_only_known_tasks_a_time_of_their_own(docker_flows: Any) -> None:
    names = {name for dag in docker_flows.dags.values() for task in dag.tasks if (name := task_of(task))}
    assert names == set(KINDS)
    assert set(SETTINGS.retrain_policy.task_timeout_seconds.by_task) <= names


def test_a_laptop_needs_no_pool_of_its_own(process_flows: Any) -> None:
    assert {task.pool for dag in process_flows.dags.values() for task in dag.tasks} == {"default_pool"}


@pytest.mark.parametrize("dag_id", FLOWS)
def test_how_a_flow_ended_is_recorded_by_a_teardown_of_all_its_tasks(docker_flows: Any, dag_id: str) -> None:
    dag = docker_flows.dags[dag_id]
    record = dag.get_task("record-run")
    assert record.is_teardown
    assert not record.on_failure_fail_dagrun, "a recorded failure would count as a success"
    assert record.upstream_task_ids == {task.task_id for task in dag.tasks} - {"record-run"}


def test_only_where_it_is_required_a_person_approves(process_flows: Any, docker_flows: Any) -> None:
    assert not process_flows.dags["core_publish_flow"].has_task("approve")
    dag = docker_flows.dags["core_publish_flow"]
    approve, publish, refuse = (dag.get_task(name) for name in ("approve", "publish", "refuse"))
    assert approve.defaults == ["Reject"]
    assert approve.ignore_downstream_trigger_rules
    assert not approve.fail_on_reject
    minutes = SETTINGS_STG.environment.publish_approval.timeout_minutes
    assert approve.response_timeout == datetime.timedelta(minutes=minutes)
    assert publish.upstream_task_ids == {"rehearse", "approve"}
    assert refuse.is_teardown
    assert refuse.on_failure_fail_dagrun
    for words in ("Sharpe", "drawdown", "trades a year", "/report/report.html", "model version"):
        assert words in approve.body


@pytest.mark.parametrize(("user", "signed"), [("ann", "--resume-by=ann"), (None, "--resume-by= ")])
def test_a_resumption_bears_the_login_or_a_blank_that_admit_refuses(
    process_flows: Any, user: str | None, signed: str
) -> None:
    admit = process_flows.dags["core_retrain_flow"].get_task("admit")
    (template,) = [word for word in admit.command if word.startswith("--resume-by=")]
    run, params = types.SimpleNamespace(triggering_user_name=user), types.SimpleNamespace(resume=True)
    assert admit.render_template(template, {"dag_run": run, "params": params}) == signed


@pytest.mark.parametrize(("cleared", "key"), [(0, "approval/t1"), (1, "approval/t1/1"), (2, "approval/t1/2")])
def test_a_cleared_run_asks_for_approval_under_a_key_of_its_own(docker_flows: Any, cleared: int, key: str) -> None:
    approve = docker_flows.dags["core_publish_flow"].get_task("approve")
    (notifier,) = approve.notifiers
    run, params = types.SimpleNamespace(clear_number=cleared), types.SimpleNamespace(trace_id="t1")
    assert approve.render_template(notifier.key, {"dag_run": run, "params": params}) == key


def test_gates_and_the_report_have_a_link_to_their_page(process_flows: Any) -> None:
    linked = {
        task.task_id
        for dag in process_flows.dags.values()
        for task in dag.tasks
        if any(link.name == "Report" for link in task.operator_extra_links)
    }
    assert linked == {"gate-canonical", "gate-index", "gate-features", "gate-predictions", "report"}


def test_parts_are_mapped_where_there_is_more_than_one(process_flows: Any, docker_flows: Any) -> None:
    for name, flow in PARTS.items():
        assert name not in process_flows.dags[flow].task_ids
        dag = docker_flows.dags[flow]
        mapped, task = dag.get_task(name), name.removesuffix("-shards")
        whole = dag.get_task(task).command
        assert mapped.expand_input.value["command"] == [[*whole, "--shard=1/2"], [*whole, "--shard=2/2"]]
        assert dag.get_task(task).upstream_task_ids == {name}


def test_only_retraining_is_scheduled_and_a_new_deployment_waits_for_its_month(process_flows: Any) -> None:
    schedules = {dag_id: dag.schedule for dag_id, dag in process_flows.dags.items()}
    retrain = schedules.pop("core_retrain_flow")
    assert retrain.expression == SETTINGS.retrain_policy.retrain_cron
    assert retrain.run_immediately == datetime.timedelta(0)
    assert set(schedules.values()) == {None}


def test_the_first_flow_runs_without_parameters_and_the_others_need_a_run(process_flows: Any) -> None:
    for dag_id, dag in process_flows.dags.items():
        if dag_id == "core_retrain_flow":
            dag.params.validate()
        else:
            with pytest.raises(Exception, match=r"run_id|model_version"):
                dag.params.validate()
        assert {"trace_id", "reason", "as_of", "pairs", "history_months", "dry_run"} <= set(dag.params)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("pairs", ["A-B", "C-D"], ["A B"]),
        ("pairs", None, ["A-B", "A-B"]),
        ("history_months", 24, 0),
        ("dry_run", True, "yes"),
        ("resume", True, 1),
        ("as_of", "2024-01-01T00:00:00Z", 20240101),
        ("reason", "because", "x" * 501),
    ],
)
def test_parameters_of_another_form_are_refused(process_flows: Any, name: str, good: Any, bad: Any) -> None:
    params = copy.deepcopy(process_flows.dags["core_retrain_flow"].params)
    params[name] = good
    with pytest.raises(ValueError, match=r"Invalid input"):
        params[name] = bad


def test_a_run_id_that_leaves_its_folder_is_refused(process_flows: Any) -> None:
    params = copy.deepcopy(process_flows.dags["core_backtest_flow"].params)
    params["run_id"] = "20240101_0000_0123abcd"
    with pytest.raises(Exception, match="does not match"):
        params["run_id"] = "../elsewhere"


@pytest.mark.parametrize(("environment", "too_heavy"), [(PROCESS, {"docker"}), (DOCKER, set())], ids=["laptop", "stg"])
def test_reading_the_flows_loads_no_domain_and_no_numerics(environment: dict[str, str], too_heavy: set[str]) -> None:
    program = (
        "import runpy, sys; [runpy.run_path(file) for file in sys.argv[1:]];"
        f"heavy = {HEAVY}"
        f" | {too_heavy or set()};"
        "ours = {n for n in sys.modules if n.startswith('core.')"
        " and not n.startswith(('core.config', 'core.telemetry', 'core.errors'))};"
        "found = heavy & set(sys.modules) | ours;"
        "sys.exit(repr(found) if found else 0)"
    )
    variables = {**os.environ, **environment, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, *map(str, FILES)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_flow_files_stay_wiring(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 80


def test_both_runners_get_the_same_command_lines(process_flows: Any, docker_flows: Any) -> None:
    for dag_id in FLOWS:
        processes, containers = process_flows.dags[dag_id], docker_flows.dags[dag_id]
        more = {*PARTS, "rehearse", "approve", "refuse"}
        assert set(containers.task_ids) - set(processes.task_ids) <= more
        for task in processes.tasks:
            command = getattr(task, "command", None)
            other: Any = getattr(containers.get_task(task.task_id), "command", None)
            if task.task_id == "publish":
                other = [
                    word for word in other if word != "--approved-by={{ approver(ti) }}"
                ]  # only where there is an approver
            assert command == other
            if command is not None:
                assert command[:3] == ["python", "-m", "tasks"]
                assert task.task_id.startswith(command[7])


def test_containers_are_pinned_bounded_and_hold_no_secret(docker_flows: Any) -> None:
    docker = SETTINGS_STG.environment.docker
    secrets = {name: value for name, value in DOCKER.items() if name.endswith("_FILE")}
    containers = [task for dag in docker_flows.dags.values() for task in dag.tasks if hasattr(task, "image")]
    assert containers
    for task in containers:
        assert ":" in task.image
        assert not task.image.endswith(":latest")
        assert task.mount_tmp_dir is False
        assert task.container_name is None
        assert task.mem_limit == task.host["memswap_limit"] == docker.memory_limit
        assert task.user == docker.user
        assert task.timeout > 0
        assert not task.privileged
        assert task.host["read_only"]
        assert task.host["cap_drop"] == ["ALL"]
        assert task.host["security_opt"] == ["no-new-privileges:true"]
        assert task.host["pids_limit"] == docker.pids_limit
        assert task.host["nano_cpus"] == docker.cpus * 1e9
        assert list(task.host["tmpfs"]) == ["/tmp"]  # noqa: S108 - the container's own
        assert secrets.items() <= task.environment.items()
        assert not {name.removesuffix("_FILE") for name in secrets} & set(task.environment)
        assert [(mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in task.mounts] == [
            ("volume", docker.volumes.archive, DOCKER["ARCHIVE_PATH"], False),
            ("volume", docker.volumes.keys, DOCKER["ARCHIVE_PATH"] + "/keys", True),
            ("volume", docker.volumes.config, DOCKER["CONFIG_ROOT"], True),
            ("volume", docker.volumes.secrets, "/run/secrets", True),
        ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"POSTGRES_URL_FILE": "", "POSTGRES_URL": "postgresql://user:secret@host/db"}, "POSTGRES_URL_FILE"),
        ({"REDIS_URL_FILE": "/elsewhere/redis_url"}, "REDIS_URL_FILE: a file in /run/secrets"),
    ],
)
def test_a_secret_that_is_no_file_of_the_one_folder_is_refused(change: dict[str, str], said: str) -> None:
    errors = load_flows({**DOCKER, **change}).import_errors
    assert len(errors) == len(FLOWS)
    assert all(said in text and "user:secret" not in text for text in errors.values())


def test_containers_know_the_object_store_where_it_is_the_backend() -> None:
    keys = {f"{name}_FILE": f"/run/secrets/{name.lower()}" for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
    store = {"S3_ENDPOINT_URL": "https://store", "S3_BUCKET": "models", **keys}
    missing = load_flows({**DOCKER, "STORAGE_BACKEND": "s3"}).import_errors
    assert all(name in text for text in missing.values() for name in store)
    dag = load_flows({**DOCKER, "STORAGE_BACKEND": "s3", **store}).dags["core_backtest_flow"]
    task = dag.get_task("backtest")
    assert store.items() <= task.environment.items()
    archive, keys = task.mounts[:2]
    assert (archive["Type"], archive["Source"], archive["ReadOnly"]) == ("volume", None, False)
    assert (keys["Source"], keys["Target"]) == (SETTINGS_STG.environment.docker.volumes.keys, "/srv/archive/keys")
