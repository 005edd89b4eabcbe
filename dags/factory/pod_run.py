"""From asking the cluster for a pod to its end: the site's way around KubernetesPodOperator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import (
    KubernetesApiException,
    PodLaunchFailedException,
    generic_api_retry,
)
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.providers.cncf.kubernetes.utils.container import container_is_terminated, get_container_termination_message
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchTimeoutException, PodPhase
from airflow.sdk import Context
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from urllib3.exceptions import HTTPError

from dags.factory.outcome import TaskFailure, result_line
from dags.factory.pod_end import read_api_failure, read_pod_failure
from dags.factory.pod_spec import COMPONENT, pod_arguments
from dags.factory.pod_task import LABEL, PodPlan
from dags.factory.process_task import TAIL_LINES

_BEYOND_GRACE_SECONDS: Final = 15.0
_API_ERRORS: Final = (ApiException, HTTPError, KubernetesApiException)


class PodRun(KubernetesPodOperator):
    """One try of a task in a pod of its own, in the cluster Airflow runs in or, outside of one, that of KUBECONFIG.

    Args:
        command: the words of the command line.
        identity: labels that tell the task's pods from all others; brought into the form a label may have.
        plan: what the pods of all tasks have in common.
    """

    def __init__(self, *, command: Sequence[str], identity: Mapping[str, str], plan: PodPlan, **kwargs: Any) -> None:
        safe = {name: make_safe_label_value(value) for name, value in identity.items()}
        super().__init__(
            arguments=list(command),
            kubernetes_conn_id=None,
            labels={**COMPONENT, **safe},
            container_name_log_prefix_enabled=False,
            startup_check_interval_seconds=1,
            **pod_arguments(plan),
            **kwargs,
        )

    def run_to_end(self, context: Context) -> str | TaskFailure:
        """Remove what an earlier try left; create, follow and delete the pod.

        Returns:
            The JSON line of its result, or how it failed. Only what stops the try itself is raised: a time-out, a kill.
        """
        try:
            self._remove_leftovers()
            pod, lines = self._follow_pod(self.build_pod_request_obj(context))
        except _API_ERRORS as error:
            self.log.warning("%s", error)
            return read_api_failure(self.task_id, error)
        return read_pod_failure(self.task_id, pod, self.base_container_name, lines) or result_line(lines)

    def _follow_pod(self, pod: V1Pod) -> tuple[V1Pod, list[str]]:
        """Create, follow and delete the pod; return its end, with the end of its log or the cluster's warnings."""
        self.pod = pod  # before it is there: whatever kills this try finds its name
        try:
            self.pod_manager.create_pod(pod)
            if self._starts(pod):
                self._show_log(pod)
                ended = self.pod_manager.await_pod_completion(pod, container_name=self.base_container_name)
            else:
                ended = self.pod_manager.read_pod(pod)
            ran = container_is_terminated(ended, self.base_container_name)
            return ended, self._end_of_log(ended) if ran else self._warnings(ended)
        finally:
            self.process_pod_deletion(pod, reraise=False)
            self.pod = None

    def _starts(self, pod: V1Pod) -> bool:
        try:
            self.await_pod_start(pod)
        except (PodLaunchFailedException, PodLaunchTimeoutException) as error:
            self.log.error("%s", error)
            return False
        return True

    def _show_log(self, pod: V1Pod) -> None:
        """Show the log while it grows. A pod that ended meanwhile speaks by its status."""
        try:
            self.await_pod_completion(pod)
        except ApiException:
            if self.pod_manager.read_pod(pod).status.phase not in PodPhase.terminal_states:
                raise

    def _end_of_log(self, pod: V1Pod) -> list[str]:
        try:
            lines: list[str] = self._read_log(pod)
        except ApiException as error:
            if pod.status.phase == PodPhase.SUCCEEDED:
                raise
            self.log.warning("The log of pod %s is lost (%s)", pod.metadata.name, error.reason)
            kept = get_container_termination_message(pod, self.base_container_name)
            return str(kept or "").splitlines()[-TAIL_LINES:]
        return lines

    @generic_api_retry
    def _read_log(self, pod: V1Pod) -> list[str]:
        content: bytes = self.client.read_namespaced_pod_log(
            pod.metadata.name,
            pod.metadata.namespace,
            container=self.base_container_name,
            tail_lines=TAIL_LINES,
            _preload_content=False,
        ).data
        return content.decode("utf-8", errors="replace").splitlines()

    def _warnings(self, pod: V1Pod) -> list[str]:
        events = self.pod_manager.read_pod_events(pod).items
        lines = [f"{event.reason}: {event.message}" for event in events if event.type == "Warning"]
        return lines[-TAIL_LINES:]

    def _remove_leftovers(self) -> None:
        for pod in self._leftovers():
            self.log.warning("Removing the pod %s of an earlier try", pod.metadata.name)
            self.pod_manager.delete_pod(pod)
        patience = Retrying(
            stop=stop_after_delay(self.termination_grace_period + _BEYOND_GRACE_SECONDS),
            wait=wait_fixed(1),
            retry=retry_if_result(bool),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
        )
        for pod in patience(self._leftovers):
            self.log.warning("Pod %s does not end, its node may be lost: removing its record", pod.metadata.name)
            self.client.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)

    @generic_api_retry
    def _leftovers(self) -> list[V1Pod]:
        selector = ",".join(f"{name}={value}" for name, value in {**COMPONENT, LABEL: self.labels[LABEL]}.items())
        return list(self.client.list_namespaced_pod(self.namespace, label_selector=selector).items)
