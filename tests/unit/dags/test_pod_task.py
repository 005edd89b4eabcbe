"""A task as a pod, against a stand-in for the API server that speaks its protocol."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from kubernetes.client.exceptions import ApiException

from core.config.loader import load_settings
from dags.factory.command_line import task_words
from dags.factory.outcome import TRANSIENT, TaskRetryableError
from dags.factory.pod_run import PodRun
from dags.factory.pod_task import LABEL, TRACE_LABEL, PodPlan, PodTask
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.kubernetes_api import Cluster, exited, running, serve, waiting
from tests.unit.dags.test_process_task import Pushes, words

TASK = "flow/manual__2024-01-01T00:00:00+00:00/train/-1"
LIMIT = datetime.timedelta(seconds=7200)
RESULT = {"task": "train", "status": "done", "outputs": {"n": 1}, "metrics": {}}
ERROR = {"code": "A_B_C", "message": "m", "where": "w", "remedy": "r"}


class Instance(Pushes):
    """The task instance, as far as the provider reads it."""

    dag_id, task_id, map_index, try_number = "flow", "train", -1, 1


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster(lines=['{"event": "log"}', json.dumps(RESULT)])
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
    with serve(cluster, tmp_path / "kubeconfig"):
        yield cluster


def pod_task() -> PodTask:
    runner = load_settings(CONFIGS, "stg").environment.kubernetes
    impatient = runner.model_copy(update={"schedule_seconds": 0, "start_seconds": 0})
    files = {"POSTGRES_URL_FILE": "/run/secrets/postgres_url"}
    plan = PodPlan(impatient, "stg", "/configs", {"ARCHIVE_PATH": "/srv/archive"}, files, "keys", False, 7200)
    task = PodTask(
        task_id="train", command=words("train", {"run-id": "R", "data": ""}), plan=plan, execution_timeout=LIMIT
    )
    task.labels = {LABEL: TASK, TRACE_LABEL: "manual__2024"}
    return task


def run(task: PodTask | None = None) -> tuple[Any, Pushes]:
    """Result or exception of one try, and what it pushed."""
    instance = Instance()
    context = {"ti": instance, "run_id": "manual__2024-01-01T00:00:00+00:00", "dag": SimpleNamespace()}
    try:
        return (task or pod_task()).execute(context), instance
    except (AirflowFailException, AirflowSkipException, TaskRetryableError) as error:
        return error, instance


def test_the_last_log_line_becomes_the_same_result_as_a_process_gives(cluster: Cluster) -> None:
    result, instance = run()
    assert result == RESULT
    assert instance.pushed == {}
    assert cluster.pods == {}, "the pod is still there"
    container = cluster.created[0]["spec"]["containers"][0]
    assert container["args"][:3] == ["python", "-m", "tasks"]
    assert container["args"][4:] == ["train", "--run-id=R"]


def test_airflow_keeps_the_result_and_no_sidecar_carries_it(cluster: Cluster) -> None:
    task = pod_task()
    run(task)
    assert task.do_xcom_push
    assert [container["name"] for container in cluster.created[0]["spec"]["containers"]] == ["base"]


def test_a_warning_after_the_result_does_not_hide_it(cluster: Cluster) -> None:
    cluster.lines = [json.dumps(RESULT), "resource_tracker: a warning on standard error", "7"]
    assert run()[0] == RESULT


def test_the_pod_of_an_earlier_try_is_removed_before_a_new_one_starts(cluster: Cluster) -> None:
    run()
    labels = cluster.created[0]["metadata"]["labels"]
    cluster.add("old", labels)
    cluster.add("another-tasks", {**labels, LABEL: "flow-run-other"})
    cluster.calls.clear()
    assert run()[0] == RESULT
    assert set(cluster.pods) == {"another-tasks"}
    assert cluster.calls.index(("delete", "pods")) < cluster.calls.index(("create", "pods"))


def test_a_pod_whose_node_is_lost_does_not_keep_its_successor_waiting(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    cluster.add("old", cluster.created[0]["metadata"]["labels"])
    cluster.lasting = {"old"}
    monkeypatch.setattr("dags.factory.pod_run._BEYOND_GRACE_SECONDS", -30.0)
    assert run()[0] == RESULT
    assert cluster.pods == {}


@pytest.mark.parametrize(
    ("code", "error"),
    [(20, AirflowFailException), (11, AirflowSkipException), (30, TaskRetryableError), (137, TaskRetryableError)],
)
def test_exit_codes_mean_what_they_mean_for_a_process(cluster: Cluster, code: int, error: type[Exception]) -> None:
    cluster.ends = exited(code)
    cluster.lines = [json.dumps({"task": "train", "status": "failed", "outputs": {}, "error": ERROR})]
    raised, instance = run()
    assert type(raised) is error
    assert str(raised) == "A_B_C: m [where: w] [do: r]"
    assert instance.pushed["failure"]["exit_code"] == code
    assert cluster.pods == {}


def test_a_task_killed_for_memory_is_tried_again_and_says_so(cluster: Cluster) -> None:
    cluster.ends = exited(137, because="OOMKilled")
    cluster.lines = ['{"event": "log"}']
    raised, _ = run()
    assert isinstance(raised, TaskRetryableError)
    assert "OOMKilled" in str(raised)


@pytest.mark.parametrize(
    "pod",
    [
        {"reason": "Evicted", "message": "The node was low on resource: memory."},
        {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"},
        {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
    ],
)
def test_a_pod_the_cluster_ended_is_tried_again_whatever_its_container_said(
    cluster: Cluster, pod: dict[str, Any]
) -> None:
    cluster.ends = exited(1, **pod)
    raised, instance = run()
    assert isinstance(raised, TaskRetryableError)
    assert instance.pushed["failure"]["exit_code"] == TRANSIENT
    assert str(pod.get("reason", "PreemptionByScheduler")) in str(raised)


def test_a_pod_that_vanishes_is_tried_again(cluster: Cluster) -> None:
    cluster.ends = None
    raised, _ = run()
    assert isinstance(raised, TaskRetryableError)
    assert "is gone" in str(raised)


def test_a_node_that_does_not_answer_any_more_is_tried_again(cluster: Cluster) -> None:
    cluster.ends, cluster.lines = cluster.starts, None
    raised, _ = run()
    assert isinstance(raised, TaskRetryableError)
    assert "cannot be followed" in str(raised)
    assert cluster.pods == {}


def test_a_lost_log_leaves_what_the_cluster_kept(cluster: Cluster) -> None:
    cluster.ends, cluster.lines = exited(20), None
    kept = {"task": "train", "outputs": {}, "error": ERROR}
    cluster.ends["containerStatuses"][0]["state"]["terminated"]["message"] = json.dumps(kept)
    raised, _ = run()
    assert isinstance(raised, AirflowFailException)
    assert str(raised).startswith("A_B_C: m")


def test_a_result_that_cannot_be_read_is_no_result(cluster: Cluster) -> None:
    cluster.lines = None
    assert isinstance(run()[0], TaskRetryableError)


def test_an_image_that_is_missing_fails_at_once_and_is_named(cluster: Cluster) -> None:
    cluster.starts = waiting("ErrImagePull", 'manifest for "ml-assets-core/tasks:0.1.0" not found')
    raised, instance = run()
    assert isinstance(raised, AirflowFailException)
    assert "tasks:0.1.0" in str(raised)
    assert instance.pushed["failure"]["exit_code"] == 20
    assert cluster.pods == {}


def test_a_pod_that_finds_no_node_is_tried_again_and_says_why(cluster: Cluster) -> None:
    cluster.starts = {"phase": "Pending"}
    cluster.events = [("FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.")]
    raised, _ = run()
    assert isinstance(raised, TaskRetryableError)
    assert "Insufficient memory" in str(raised)
    assert cluster.pods == {}


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((403, 'pods "train" is forbidden: violates PodSecurity "restricted:latest"'), AirflowFailException),
        ((403, 'pods "train" is forbidden: exceeded quota: core-tasks, requested: pods=1'), TaskRetryableError),
        ((404, 'namespaces "ml-assets-core" not found'), AirflowFailException),
        ((422, "spec.containers[0].image: Required value"), AirflowFailException),
        ((503, "etcdserver: leader changed"), TaskRetryableError),
    ],
)
def test_what_the_cluster_refuses_is_tried_again_only_where_that_may_help(
    cluster: Cluster, refusal: tuple[int, str], error: type[Exception]
) -> None:
    cluster.refusal = refusal
    raised, _ = run()
    assert type(raised) is error
    assert refusal[1] in str(raised)


@pytest.mark.parametrize("stop", [AirflowTaskTimeout, KeyboardInterrupt])
def test_a_time_out_deletes_the_pod(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def hang(*_: Any, **__: Any) -> None:
        assert len(cluster.pods) == 1
        raise stop

    monkeypatch.setattr(PodRun, "await_pod_completion", hang)
    with pytest.raises(stop):
        run()
    assert cluster.pods == {}


def test_a_kill_deletes_the_pod_even_while_it_is_being_created(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = pod_task()
    create = PodManager.create_pod

    def killed(manager: PodManager, pod: Any) -> None:
        create(manager, pod)
        task.on_kill()
        assert cluster.pods == {}

    monkeypatch.setattr(PodManager, "create_pod", killed)
    assert isinstance(run(task)[0], TaskRetryableError)


def test_labels_are_ones_the_cluster_takes(cluster: Cluster) -> None:
    run()
    labels = cluster.created[0]["metadata"]["labels"]
    assert labels[LABEL].startswith("flowmanual__2024")
    assert labels[TRACE_LABEL] == "manual__2024"
    assert all(len(value) <= 63 and not set(value) & set("/:+ ") for value in labels.values())


def test_the_account_has_exactly_the_rights_that_are_used(cluster: Cluster) -> None:
    cluster.starts = {"phase": "Pending"}
    run()
    cluster.starts = running()
    run()
    assert set(cluster.calls) == cluster.rights


@pytest.mark.parametrize("missing", [("get", "pods/log"), ("create", "pods"), ("list", "pods")])
def test_a_missing_right_fails_at_once(cluster: Cluster, missing: tuple[str, str]) -> None:
    cluster.rights.discard(missing)
    raised, _ = run()
    assert isinstance(raised, AirflowFailException)
    assert "forbidden" in str(raised)


def test_labels_name_run_and_task_whatever_the_try() -> None:
    command = task_words("/configs", "train", {}, {})
    task = PodTask(task_id="train", command=command, plan=pod_task().plan)
    context = {"dag": SimpleNamespace(dag_id="flow"), "run_id": "r", "task": task, "ti": Instance(), "params": {}}
    task.render_template_fields(context)
    assert task.labels == {LABEL: "flow/r/train/-1", TRACE_LABEL: "r"}
    assert task.command[4] == "--trace-id=r"


def test_the_stand_in_refuses_what_the_schema_does(cluster: Cluster) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [], "privileged": True}}
    with pytest.raises(ApiException, match="422"):
        pod_task().pod_run().client.create_namespaced_pod("n", pod)
