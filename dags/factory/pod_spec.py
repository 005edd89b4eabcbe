"""What every pod of a task holds: limits, volumes, and no right it does not need."""

from __future__ import annotations

from typing import Any, Final

from kubernetes.client import models as k8s

from core.config.environment import KubernetesRunner
from dags.factory.pod_task import PodPlan

USER: Final = 10001
"""User and group of the images."""


COMPONENT: Final = {"app.kubernetes.io/part-of": "ml-assets-core", "app.kubernetes.io/component": "task"}
"""Labels the cluster's network policy selects the pods by."""


def pod_arguments(plan: PodPlan) -> dict[str, Any]:
    """Arguments of KubernetesPodOperator that are the same for every task."""
    runner = plan.runner
    return {
        "image": runner.image,
        "image_pull_policy": "IfNotPresent",
        "namespace": runner.namespace,
        "service_account_name": runner.service_account,
        "automount_service_account_token": False,
        "env_vars": {**plan.plain, **plan.files},
        "volumes": _volumes(plan),
        "volume_mounts": _mounts(plan),
        "container_resources": _resources(runner),
        "security_context": _pod_security(),
        "container_security_context": _container_security(),
        "schedule_timeout_seconds": runner.schedule_seconds,
        "startup_timeout_seconds": runner.start_seconds,
        "termination_grace_period": runner.stop_seconds,
        # counts from the pod's start, so Airflow's own time-out comes first; this one holds where Airflow is gone
        "active_deadline_seconds": plan.deadline_seconds,
        "termination_message_policy": "FallbackToLogsOnError",  # the end of the log outlives the log
        "durable": False,  # a pod whose follower died is replaced, as a container is
    }


def _volumes(plan: PodPlan) -> list[k8s.V1Volume]:
    runner = plan.runner
    claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=runner.archive_claim)
    names = [variable.removesuffix("_FILE") for variable in plan.files]
    secret = k8s.V1SecretVolumeSource(
        secret_name=runner.secret,
        default_mode=0o440,
        items=[k8s.V1KeyToPath(key=name, path=name) for name in names],
    )
    scratch = [k8s.V1Volume(name="scratch", empty_dir=k8s.V1EmptyDirVolumeSource())] if plan.scratch else []
    return [
        k8s.V1Volume(name="archive", persistent_volume_claim=claim),
        *scratch,
        k8s.V1Volume(name="config-base", config_map=k8s.V1ConfigMapVolumeSource(name=runner.config_maps.base)),
        k8s.V1Volume(
            name="config-environment", config_map=k8s.V1ConfigMapVolumeSource(name=runner.config_maps.environment)
        ),
        k8s.V1Volume(name="secrets", secret=secret),
        k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit=runner.tmp)),
    ]


def _mounts(plan: PodPlan) -> list[k8s.V1VolumeMount]:
    secrets = [
        k8s.V1VolumeMount(name="secrets", mount_path=path, sub_path=variable.removesuffix("_FILE"), read_only=True)
        for variable, path in plan.files.items()
    ]
    overlay = f"{plan.config_root}/envs/{plan.environment}"
    archive = plan.plain["ARCHIVE_PATH"]
    held = [k8s.V1VolumeMount(name="archive", mount_path=archive)]
    if plan.scratch:
        keys = k8s.V1VolumeMount(
            name="archive", mount_path=f"{archive}/{plan.keys}", sub_path=plan.keys, read_only=True
        )
        held = [k8s.V1VolumeMount(name="scratch", mount_path=archive), keys]
    return [
        *held,
        k8s.V1VolumeMount(name="config-base", mount_path=f"{plan.config_root}/base", read_only=True),
        k8s.V1VolumeMount(name="config-environment", mount_path=overlay, read_only=True),
        *secrets,
        k8s.V1VolumeMount(name="tmp", mount_path="/tmp"),  # noqa: S108 - the pod's own
    ]


def _resources(runner: KubernetesRunner) -> k8s.V1ResourceRequirements:
    return k8s.V1ResourceRequirements(
        requests={"cpu": f"{runner.cpu.request_milli}m", "memory": runner.memory},
        limits={"cpu": f"{runner.cpu.limit_milli}m", "memory": runner.memory},
    )


def _pod_security() -> k8s.V1PodSecurityContext:
    return k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        fs_group_change_policy="OnRootMismatch",  # the archive is large: do not walk it at every start
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    )


def _container_security() -> k8s.V1SecurityContext:
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )
