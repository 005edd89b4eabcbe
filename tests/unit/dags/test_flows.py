"""What Airflow reads from the flow files, and the policies every flow keeps."""

from __future__ import annotations

import copy
import datetime
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config.loader import load_settings
from dags.factory.tags import Tag
from laptop.chain import FLOWS
from tests.unit.dags.conftest import DOCKER, PROCESS, REPOSITORY, load_flows

FILES = sorted((REPOSITORY / "dags").glob("core_*.py"))
SETTINGS = load_settings(REPOSITORY / "configs", "dev")


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
        shown = [name for name in order if name not in {"start_next", "deployed", "done", "record-run"}]
        assert tuple(shown) == names


def test_flows_chain_in_order_under_one_trace(process_flows: Any) -> None:
    ids = list(FLOWS)
    for dag_id, following in itertools.pairwise(ids):
        trigger = process_flows.dags[dag_id].get_task("start_next")
        assert trigger.trigger_dag_id == following
        assert trigger.trigger_run_id == trigger.conf["trace_id"] == "{{ params.trace_id or run_id }}"
        assert trigger.logical_date is None
        assert {"run_id", "model_version", "as_of"} <= set(trigger.conf)
    assert not process_flows.dags[ids[-1]].has_task("start_next")


@pytest.mark.parametrize("dag_id", FLOWS)
def test_every_flow_keeps_the_policy(process_flows: Any, dag_id: str) -> None:
    dag, policy = process_flows.dags[dag_id], SETTINGS.retrain_policy
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.doc_md
    assert dag.tags
    assert set(dag.tags) <= {tag.value for tag in Tag}
    assert dag.is_paused_upon_creation is SETTINGS.environment.retrain_paused
    for task in dag.tasks:
        assert task.owner == SETTINGS.environment.alert_recipient
        assert task.retries == policy.retries.count <= 2
        assert task.retry_delay == datetime.timedelta(seconds=policy.retries.delay_seconds)
        assert task.retry_exponential_backoff
        assert task.max_retry_delay == datetime.timedelta(seconds=policy.retries.max_delay_seconds)
        assert task.execution_timeout == datetime.timedelta(seconds=policy.task_timeout_seconds)


@pytest.mark.parametrize("dag_id", FLOWS)
def test_a_failure_anywhere_is_recorded_and_still_fails_the_flow(process_flows: Any, dag_id: str) -> None:
    dag = process_flows.dags[dag_id]
    record, done = dag.get_task("record-run"), dag.get_task("done")
    work = {task.task_id for task in dag.tasks} - {"record-run", "done"}
    assert record.trigger_rule == "one_failed"
    assert record.upstream_task_ids == work
    assert {task.task_id for task in dag.leaves} == {"record-run", "done"}
    assert done.trigger_rule == "none_failed", "a recorded failure would count as a success"
    assert done.get_flat_relative_ids(upstream=True) == work


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
        assert {"trace_id", "reason", "as_of"} <= set(dag.params)


def test_a_run_id_that_leaves_its_folder_is_refused(process_flows: Any) -> None:
    params = copy.deepcopy(process_flows.dags["core_backtest_flow"].params)
    params["run_id"] = "20240101_0000_0123abcd"
    with pytest.raises(Exception, match="does not match"):
        params["run_id"] = "../elsewhere"


def test_reading_the_flows_loads_no_domain_and_no_numerics() -> None:
    program = (
        "import runpy, sys; [runpy.run_path(file) for file in sys.argv[1:]];"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'catboost', 'docker', 'redis', 'tasks'} & set(sys.modules);"
        "ours = {n for n in sys.modules if n.startswith('core.')"
        " and not n.startswith(('core.config', 'core.telemetry', 'core.errors'))};"
        "sys.exit(repr(heavy | ours) if heavy | ours else 0)"
    )
    environment = {**os.environ, **PROCESS, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, *map(str, FILES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_flow_files_stay_wiring(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 80


def test_both_runners_get_the_same_command_lines(process_flows: Any, docker_flows: Any) -> None:
    for dag_id in FLOWS:
        processes, containers = process_flows.dags[dag_id], docker_flows.dags[dag_id]
        assert processes.task_ids == containers.task_ids
        for task in processes.tasks:
            command = getattr(task, "command", None)
            assert command == getattr(containers.get_task(task.task_id), "command", None)
            if command is not None:
                assert command[:3] == ["python", "-m", "tasks"]
                assert command[5] == task.task_id


def test_containers_are_pinned_bounded_and_hold_no_secret(docker_flows: Any) -> None:
    secrets = {name: value for name, value in DOCKER.items() if name.endswith("_FILE")}
    for dag in docker_flows.dags.values():
        for task in dag.tasks:
            if task.task_type != "ContainerTask":
                continue
            assert not task.image.endswith(":latest")
            assert ":" in task.image
            assert task.auto_remove == "force"
            assert task.mount_tmp_dir is False
            assert task.container_name is None
            assert task.mem_limit == SETTINGS.environment.docker.memory_limit
            assert task.timeout > 0
            assert secrets.items() <= task.environment.items()
            assert not {name.removesuffix("_FILE") for name in secrets} & set(task.environment)
            read_only = {mount["Source"] for mount in task.mounts if mount["ReadOnly"]}
            assert read_only == {*secrets.values(), PROCESS["CONFIG_ROOT"]}


def test_a_secret_that_is_no_file_is_refused_for_containers() -> None:
    environment = {**DOCKER, "POSTGRES_URL": "postgresql://user:secret@host/db"}
    del environment["POSTGRES_URL_FILE"]
    errors = load_flows(environment).import_errors
    assert all("POSTGRES_URL_FILE" in text for text in errors.values())
    assert len(errors) == len(FLOWS)
