"""What the end of a pod means to Airflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from airflow.providers.cncf.kubernetes.utils.container import get_container_status
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase, detect_pod_terminate_early_issues
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException

from core.errors import InputError
from dags.factory.outcome import TRANSIENT, TaskFailure, read_failure, result_line

_NEVER: Final = frozenset({400, 401, 403, 405, 422})
"""Answers of the API server to a request that another try would not change."""


def read_pod_failure(task: str, pod: V1Pod, container: str, lines: Sequence[str]) -> TaskFailure | None:
    """How the pod failed; None where it succeeded.

    An image that cannot be pulled fails at once. A pod the cluster ended, whatever its container made of that, or that
    never started, is worth another try; so is a container killed for memory (exit code 137). Any other exit code means
    what it means for a process.

    Args:
        task: the task's name.
        pod: the pod as the cluster last told it.
        container: name of the container the task runs in.
        lines: end of its log or, where it never ran, the cluster's warnings.
    """
    if pod.status.phase == PodPhase.SUCCEEDED:
        return None
    tail = "\n".join(lines)
    image = detect_pod_terminate_early_issues(pod)
    if image:
        return TaskFailure(
            task, InputError.exit_code, f"{image.strip()} [do: see that the cluster can pull this image]"
        )
    status = get_container_status(pod, container)
    ended = status.state.terminated if status else None
    by_cluster = _by_cluster(pod)
    if by_cluster or not ended:
        what = f"was ended by the cluster: {by_cluster}" if by_cluster else "did not start"
        return TaskFailure(task, TRANSIENT, f"the pod of {task} {what}\n{tail}".strip())
    if ended.reason and ended.reason != "Error":
        tail = f"{ended.reason}\n{tail}"
    return read_failure(task, ended.exit_code, result_line(lines), tail)


def read_api_failure(task: str, error: Exception) -> TaskFailure:
    """What a call to the API server that failed for good means: refused, or the server or the pod is gone."""
    if not isinstance(error, ApiException):
        return TaskFailure(task, TRANSIENT, f"the API server of the cluster did not answer: {error}")
    message = _message(str(error.body or error.reason))
    no_namespace = error.status == HTTPStatus.NOT_FOUND and message.startswith("namespaces ")
    if no_namespace or (error.status in _NEVER and "exceeded quota" not in message):
        text = (
            f"the cluster refused the pod of {task} ({error.status}): {message} [do: compare with docs/kubernetes.md]"
        )
        return TaskFailure(task, InputError.exit_code, text)
    what = "is gone" if error.status == HTTPStatus.NOT_FOUND else "cannot be followed"
    return TaskFailure(task, TRANSIENT, f"the pod of {task} {what} ({error.status}): {message}")


def _by_cluster(pod: V1Pod) -> str:
    """Why the kubelet or a controller ended the pod (Evicted, DeadlineExceeded, NodeLost …); empty if none did."""
    if pod.status.reason:
        return ": ".join(filter(None, [pod.status.reason, pod.status.message]))
    for condition in pod.status.conditions or []:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return ": ".join(filter(None, [condition.reason, condition.message]))
    return ""


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body
