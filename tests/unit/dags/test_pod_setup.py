"""What an operator applies around the pods of tasks: it agrees with the code, and its commands do what they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import copytree
from typing import Any, Final

import pytest
import yaml

from core.config.environment_variables import required_names
from core.config.loader import load_settings
from dags.factory import render_pods
from tests.fixtures.config_tree import CONFIGS, change, copy_tree
from tests.unit.dags.conftest import REPOSITORY, load_flows
from tests.unit.dags.test_pod_manifests import PREPARE, RUNNER, WATCH, manifest

SETTINGS: Final = load_settings(CONFIGS, "prod")
VARIABLES: Final[dict[str, str]] = manifest("ConfigMap")["data"]
SECRETS: Final = frozenset(manifest("Secret")["stringData"])
STORE: Final = {"STORAGE_BACKEND": "s3", "S3_ENDPOINT_URL": "http://store:9000", "S3_BUCKET": "core"}
S3_KEYS: Final = {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}
TOLD: Final = dict.fromkeys(SECRETS - S3_KEYS, "https://alerts.invalid/key")
EXIT_CODE_OF_INPUT: Final = 20
EXIT_CODE_OF_A_SILENT_SERVER: Final = 30


def container(template: dict[str, Any]) -> dict[str, Any]:
    (only,) = template["spec"]["containers"]
    return dict(only)


def test_the_variables_are_those_a_task_may_need_with_every_secret_a_file() -> None:
    needed = set(required_names(SETTINGS.environment, SETTINGS.ml_core_storage, "s3"))
    given = {name.removesuffix("_FILE") for name in VARIABLES} - {"CONFIG_ROOT"}
    assert given == needed
    assert {name.removesuffix("_FILE") for name in VARIABLES if name.endswith("_FILE")} == SECRETS
    assert VARIABLES["SERVICE_ENV"] == SETTINGS.environment.name


def where_it_works(pod: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Volume, path below ARCHIVE_PATH and whether it is read only, of what a pod has there."""
    root = VARIABLES["ARCHIVE_PATH"]
    mounts = [
        mount for mount in container({"spec": pod["spec"]})["volumeMounts"] if mount["mountPath"].startswith(root)
    ]
    return [(each["name"], each["mountPath"][len(root) :], each.get("readOnly", False)) for each in mounts]


SHARED: Final = [("archive", "", False)]
SCRATCH: Final = [("scratch", "", False), ("archive", "/keys", True)]


@pytest.mark.parametrize("store", [{}, STORE], ids=["local", "s3"])
def test_the_secret_holds_every_key_a_task_asks_for(tmp_path: Path, store: dict[str, str]) -> None:
    root = copy_tree(tmp_path)
    change(root, "environment.yaml", "runner", "kubernetes")
    flows = load_flows({**VARIABLES, "CONFIG_ROOT": str(root), **store})
    assert flows.import_errors == {}
    asked = set()
    for _, pod in render_pods.pod_manifests(flows):
        assert where_it_works(pod) == (SCRATCH if store else SHARED)
        (volume,) = [each["secret"] for each in pod["spec"]["volumes"] if each["name"] == "secrets"]
        asked.add(frozenset(item["key"] for item in volume["items"]))
    assert asked == {SECRETS if store else SECRETS - S3_KEYS}


@pytest.mark.parametrize("template", [PREPARE, WATCH], ids=["prepare", "watch"])
def test_what_runs_beside_the_tasks_finds_what_they_find(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["serviceAccountName"] == RUNNER.service_account
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["archive"]["persistentVolumeClaim"] == {"claimName": RUNNER.archive_claim}
    assert volumes["config-base"]["configMap"] == {"name": RUNNER.config_maps.base}
    assert volumes["config-environment"]["configMap"] == {"name": RUNNER.config_maps.environment}
    assert volumes["secrets"]["secret"] == {"secretName": RUNNER.secret, "defaultMode": 0o440}
    assert container(template)["envFrom"] == [{"configMapRef": {"name": manifest("ConfigMap")["metadata"]["name"]}}]
    mounts = {mount["name"]: mount for mount in container(template)["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    root = VARIABLES["CONFIG_ROOT"]
    assert {name: mount["mountPath"] for name, mount in mounts.items()} == {
        "archive": VARIABLES["ARCHIVE_PATH"],
        "config-base": f"{root}/base",
        "config-environment": f"{root}/envs/{VARIABLES['SERVICE_ENV']}",
        "secrets": "/srv/secrets",
        "tmp": "/tmp",  # noqa: S108 - the pod's own
    }
    assert {name for name, mount in mounts.items() if not mount.get("readOnly")} == {"archive", "tmp"}
    files = {PurePosixPath(path) for name, path in VARIABLES.items() if name.endswith("_FILE")}
    assert files == {PurePosixPath("/srv/secrets") / name for name in SECRETS}


def test_the_watcher_is_asked_at_the_port_it_serves() -> None:
    port = SETTINGS.observability_policy.metrics.port
    watch, service = container(WATCH), manifest("Service")["spec"]
    assert watch["ports"] == [{"name": "metrics", "containerPort": port}]
    for probe in ("readinessProbe", "livenessProbe"):
        assert watch[probe]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    assert service["ports"] == [{"name": "metrics", "port": port, "targetPort": "metrics"}]
    assert service["selector"].items() <= WATCH["metadata"]["labels"].items()
    assert manifest("NetworkPolicy", "core-watch")["spec"]["ingress"] == [
        {"ports": [{"port": port, "protocol": "TCP"}]}
    ]


def test_the_quota_has_room_for_eight_tasks_beside_the_rest() -> None:
    hard = manifest("ResourceQuota")["spec"]["hard"]
    task = {
        "requests": {"cpu": f"{RUNNER.cpu.request_milli}m", "memory": RUNNER.memory},
        "limits": {"cpu": f"{RUNNER.cpu.limit_milli}m", "memory": RUNNER.memory},
    }
    pods = [*[task] * 8, *[container(WATCH)["resources"]] * 2, container(PREPARE)["resources"]]
    assert int(hard["pods"]) >= len(pods)
    for bound in ("requests", "limits"):
        for kind in ("cpu", "memory"):
            assert amount(hard[f"{bound}.{kind}"]) >= sum(amount(pod[bound][kind]) for pod in pods), (bound, kind)


def amount(quantity: str) -> int:
    """Thousandths of a processor, or MiB."""
    for suffix, factor in {"Gi": 1024, "Mi": 1, "m": 1}.items():
        if quantity.endswith(suffix):
            return int(quantity.removesuffix(suffix)) * factor
    return int(quantity) * 1000


@dataclass(frozen=True)
class Place:
    """A folder in the place of the containers' root, with the mounts in it."""

    folder: Path

    @classmethod
    def with_secrets(cls, folder: Path, secrets: dict[str, str]) -> Place:
        place = cls(folder)
        for name, source in {"base": "base", f"envs/{VARIABLES['SERVICE_ENV']}": "envs/prod"}.items():
            copytree(CONFIGS / source, folder / "srv" / "configs" / name)
        for kind in ("archive", "secrets"):
            (folder / "srv" / kind).mkdir()
        for name, value in secrets.items():
            (folder / "srv" / "secrets" / name).write_text(value, encoding="utf-8")
        return place

    def run(self, template: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        """The container's command line in a process, with the container's variables and no others of ours."""
        variables = {
            name: f"{self.folder}{value}" if value.startswith("/srv/") else value for name, value in VARIABLES.items()
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [*container(template)["args"], *words],
            cwd=REPOSITORY,
            env={**variables, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


def test_the_watcher_works_once_the_job_has_run_and_not_before(
    server_folder: Path, postgres_url: str, redis_url: str
) -> None:
    place = Place.with_secrets(server_folder, {**TOLD, "POSTGRES_URL": postgres_url, "REDIS_URL": redis_url})
    early = place.run(WATCH, "--once")
    assert early.returncode == EXIT_CODE_OF_INPUT
    assert "DATABASE_SCHEMA_MISSING" in early.stderr

    first = place.run(PREPARE)
    assert first.returncode == 0, first.stderr
    signing = SETTINGS.environment.signing
    keys = [server_folder / "srv" / "archive" / name for name in (signing.private_key, signing.public_key)]
    made = [key.read_bytes() for key in keys]
    assert place.run(PREPARE).returncode == 0
    assert [key.read_bytes() for key in keys] == made

    late = place.run(WATCH, "--once")
    assert late.returncode == 0, late.stderr


def test_what_another_try_cannot_mend_ends_the_job_at_once(server_folder: Path) -> None:
    (rule,) = manifest("Job")["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [EXIT_CODE_OF_INPUT]}}
    assert PREPARE["spec"]["restartPolicy"] == "Never", "the cluster takes a failure policy with no other"
    assert Place.with_secrets(server_folder, {}).run(PREPARE).returncode == EXIT_CODE_OF_INPUT


def test_the_job_is_not_done_where_only_the_keys_are_there(server_folder: Path) -> None:
    away = {"POSTGRES_URL": "postgresql://core@127.0.0.1:1/core", "REDIS_URL": "redis://127.0.0.1:1/0"}
    tried = Place.with_secrets(server_folder, {**TOLD, **away}).run(PREPARE)
    assert tried.returncode == EXIT_CODE_OF_A_SILENT_SERVER, tried.stderr


@pytest.mark.usefixtures("airflow_database")
def test_airflow_makes_the_pools_of_the_file_that_is_rendered(tmp_path: Path) -> None:
    from airflow.cli.cli_parser import get_parser
    from airflow.models.pool import Pool

    pools = SETTINGS.environment.pools
    file = render_pods.write_pools(pools, tmp_path)
    assert len(json.loads(file.read_text(encoding="utf-8"))) == len(list(pools))
    arguments = get_parser().parse_args(["pools", "import", str(file)])
    for _ in range(2):
        arguments.func(arguments)
    found = {pool.pool: (pool.slots, pool.include_deferred) for pool in Pool.get_pools()}
    assert {pool.name: (pool.slots, False) for _, pool in pools}.items() <= found.items()


def test_the_page_names_every_file_an_operator_applies() -> None:
    page = (REPOSITORY / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    folder = REPOSITORY / "deploy" / "kubernetes"
    for file in folder.rglob("*.yaml"):
        assert f"`{file.name}`" in page or f"deploy/kubernetes/{file.relative_to(folder)}" in page, file
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "ml-assets-core"
