"""The pods the flows ask for and the manifests around them: schema, policy, and names that agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from airflow.serialization.serialized_objects import DagSerialization

from core.config.loader import load_settings
from dags.factory import render_pods
from dags.factory.pod_spec import USER
from tests.fixtures.config_tree import CONFIGS, change, copy_tree
from tests.fixtures.kubernetes_api import DEPLOY
from tests.unit.dags.conftest import DOCKER, REPOSITORY, load_flows

VERSIONS: Final = (kubernetes_validate.latest_version(), "1.31.0")
SECRET: Final = "postgresql://core:only-in-a-file@db/core"  # noqa: S105 - must not be found
RUNNER: Final = load_settings(CONFIGS, "prod").environment.kubernetes
MANIFESTS: Final = [
    document
    for file in sorted(DEPLOY.rglob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]


def manifest(kind: str, name: str | None = None) -> dict[str, Any]:
    """The one of its kind, or the one that bears the name."""
    (found,) = [each for each in MANIFESTS if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    return dict(found)


PREPARE: Final = manifest("Job")["spec"]["template"]
WATCH: Final = manifest("Deployment")["spec"]["template"]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = copy_tree(tmp_path_factory.mktemp("kubernetes"))
    change(root, "environment.yaml", "runner", "kubernetes")
    return {**DOCKER, "CONFIG_ROOT": str(root), "POSTGRES_URL": SECRET}


@pytest.fixture(scope="module")
def pod_flows(variables: dict[str, str]) -> Any:
    return load_flows(variables)


@pytest.fixture(scope="module")
def pods(pod_flows: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert pod_flows.import_errors == {}
    folder = tmp_path_factory.mktemp("rendered")
    files = render_pods.write_manifests(pod_flows, folder)
    return {str(file.relative_to(folder).with_suffix("")): yaml.safe_load(file.read_text()) for file in files}


def commands_of(task: Any) -> dict[str, list[str]]:
    """Name → command line of the task, or of each of its parts."""
    if task.task_type != "ContainerTask":
        return {}
    if not task.is_mapped:
        return {task.task_id: task.command}
    return {f"{task.task_id}-{part}": words for part, words in enumerate(task.expand_input.value["command"], 1)}


def test_every_container_of_every_flow_is_a_pod_with_the_same_command_line(
    docker_flows: Any, variables: dict[str, str], pods: dict[str, Any]
) -> None:
    commands = {
        f"{dag_id}/{name}": [word.replace(DOCKER["CONFIG_ROOT"], variables["CONFIG_ROOT"]) for word in words]
        for dag_id, dag in docker_flows.dags.items()
        for task in dag.tasks
        for name, words in commands_of(task).items()
    }
    assert commands == {name: pod["spec"]["containers"][0]["args"] for name, pod in pods.items()}
    assert "--shard=2/2" in commands["core_retrain_flow/train-shards-2"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_pod_and_every_manifest_is_one_the_cluster_knows(pods: dict[str, Any], version: str) -> None:
    for document in (*pods.values(), *MANIFESTS):
        kubernetes_validate.validate(document, version, strict=True)


def test_no_pod_runs_as_root_or_can_become_it(pods: dict[str, Any]) -> None:
    for pod in (*pods.values(), PREPARE, WATCH):
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == USER == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {name for name, value in spec.items() if value is True}
        assert not spec.get("initContainers")
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_pod_is_without_limits(pods: dict[str, Any]) -> None:
    policy = load_settings(CONFIGS, "stg").retrain_policy
    for pod in pods.values():
        spec = pod["spec"]
        resources = spec["containers"][0]["resources"]
        assert resources["requests"] == {"cpu": f"{RUNNER.cpu.request_milli}m", "memory": RUNNER.memory}
        assert resources["limits"] == {"cpu": f"{RUNNER.cpu.limit_milli}m", "memory": RUNNER.memory}
        name = spec["containers"][0]["args"][7]
        assert spec["activeDeadlineSeconds"] == policy.task_timeout_seconds.of(name)
        assert spec["terminationGracePeriodSeconds"] == RUNNER.stop_seconds
        assert spec["restartPolicy"] == "Never"
        assert {"name": "tmp", "emptyDir": {"sizeLimit": RUNNER.tmp}} in spec["volumes"]


def test_images_are_pinned(pods: dict[str, Any]) -> None:
    images = {pod["spec"]["containers"][0]["image"] for pod in (*pods.values(), PREPARE, WATCH)}
    assert images == {RUNNER.image}
    assert not RUNNER.image.endswith(":latest")


def test_secrets_are_read_only_files_and_never_values(pods: dict[str, Any]) -> None:
    paths = {name: path for name, path in DOCKER.items() if name.endswith("_FILE")}
    for pod in pods.values():
        assert SECRET not in yaml.safe_dump(pod)
        (container,) = pod["spec"]["containers"]
        given = {each["name"]: each["value"] for each in container["env"]}
        assert paths.items() <= given.items()
        assert not {name.removesuffix("_FILE") for name in paths} & set(given)
        assert not container["envFrom"]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        for name, path in paths.items():
            assert mounts[path]["subPath"] == name.removesuffix("_FILE")
        assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {"/srv/archive", "/tmp"}  # noqa: S108


def test_the_manifests_bear_the_names_of_the_configuration() -> None:
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in MANIFESTS} == {RUNNER.namespace}
    assert RUNNER.service_account in {
        each["metadata"]["name"] for each in MANIFESTS if each["kind"] == "ServiceAccount"
    }
    assert manifest("PersistentVolumeClaim")["metadata"]["name"] == RUNNER.archive_claim
    secret = manifest("Secret")
    assert secret["metadata"]["name"] == RUNNER.secret
    assert set(secret["stringData"].values()) == {""}


def test_the_network_policy_holds_for_every_pod(pods: dict[str, Any]) -> None:
    policy = manifest("NetworkPolicy", "core-task")
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy["spec"]
    store = manifest("NetworkPolicy", "core-object-store")
    for pod in (*pods.values(), PREPARE, WATCH):
        labels = pod["metadata"]["labels"]
        assert selects(policy, labels)
        assert selects(store, labels)
        assert selects(manifest("NetworkPolicy", "core-watch"), labels) is (pod is WATCH)
    assert {pod["metadata"]["namespace"] for pod in pods.values()} == {policy["metadata"]["namespace"]}


def selects(policy: dict[str, Any], labels: dict[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return bool(selector["matchLabels"].items() <= labels.items())


def test_airflow_may_handle_pods_of_its_namespace_only() -> None:
    resources = {name for rule in manifest("Role")["rules"] for name in rule["resources"]}
    assert resources == {"pods", "pods/log", "events"}
    assert not {each["kind"] for each in MANIFESTS} & {"ClusterRole", "ClusterRoleBinding"}
    assert [subject["name"] for subject in manifest("RoleBinding")["subjects"]] == ["core-airflow"]


def test_reading_a_flow_twice_gives_the_same_flow(variables: dict[str, str], pod_flows: Any) -> None:
    again = load_flows(variables)
    for dag_id, dag in pod_flows.dags.items():
        assert DagSerialization.to_dict(again.dags[dag_id]) == DagSerialization.to_dict(dag)


def test_reading_the_flows_waits_for_no_kubernetes_client(variables: dict[str, str]) -> None:
    program = "import dags.core_retrain_flow, sys; sys.exit('kubernetes' in sys.modules)"
    environment = {**os.environ, **variables, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_writes_the_pods_and_says_where_there_are_none(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert render_pods.main([str(tmp_path)]) == 0
    assert (tmp_path / "core_retrain_flow" / "train.yaml").is_file()
    assert (tmp_path / "core_retrain_flow" / "train-shards-2.yaml").is_file()
    assert (tmp_path / "pools.json").is_file()
    monkeypatch.setenv("CONFIG_ROOT", DOCKER["CONFIG_ROOT"])
    assert render_pods.main([str(tmp_path)]) == 1
    assert "no task is a pod" in capsys.readouterr().err
    assert render_pods.main([]) == 2
