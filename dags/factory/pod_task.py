"""Runs a task as a Kubernetes pod (`runner: kubernetes`): the site's way around KubernetesPodOperator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

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

from dags.factory.command_line import TRACE_ID, without_empty_options
from dags.factory.outcome import read_result
from dags.factory.pod_end import read_api_failure, read_pod_failure, result_line
from dags.factory.process_task import TAIL_LINES

LABEL: Final = "ml-assets-core.task"
TRACE_LABEL: Final = "ml-assets-core.trace"
COMPONENT: Final = {"app.kubernetes.io/part-of": "ml-assets-core", "app.kubernetes.io/component": "task"}
_TASK: Final = "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}"
_BEYOND_GRACE_SECONDS: Final = 15.0
_API_ERRORS: Final = (ApiException, HTTPError, KubernetesApiException)


class PodTask(KubernetesPodOperator):
    """The same command line as a ProcessTask, with the same result and the same failures.

    A pod an earlier try of the same task left behind, found by its label, is removed before a new one starts. The pod
    is deleted on every path. The cluster is the one Airflow runs in or, outside of one, that of KUBECONFIG.

    Args:
        command: the words of the command line, templated; the image's entry point stays.
    """

    template_fields: ClassVar[Sequence[str]] = (*KubernetesPodOperator.template_fields, "command")

    def __init__(self, *, command: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            kubernetes_conn_id=None,
            durable=False,  # a pod whose follower died is replaced, as a container is
            labels={**COMPONENT, LABEL: _TASK, TRACE_LABEL: TRACE_ID},
            termination_message_policy="FallbackToLogsOnError",  # the end of the log outlives the log
            container_name_log_prefix_enabled=False,
            startup_check_interval_seconds=1,
            **kwargs,
        )
        self.command = list(command)
        self.do_xcom_push = True

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> V1Pod:
        """The pod, without the provider's sidecar: the result is in the log."""
        self.arguments = without_empty_options(self.command)
        self.do_xcom_push = False  # to the provider's builder it means the sidecar, to Airflow the result
        try:
            return super().build_pod_request_obj(context, dry_run=dry_run)
        finally:
            self.do_xcom_push = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the pod; return the task's result. Raises as ProcessTask does."""
        self.labels: dict[str, str] = {name: make_safe_label_value(text) for name, text in self.labels.items()}
        cause: Exception | None = None
        try:
            self._remove_leftovers()
            pod, lines = self._run(self.build_pod_request_obj(context))
            failure = read_pod_failure(self.task_id, pod, self.base_container_name, lines)
        except _API_ERRORS as error:
            failure, cause = read_api_failure(self.task_id, error), error
        if failure is None:
            return read_result(result_line(lines))
        context["ti"].xcom_push(key="failure", value=failure.as_xcom())
        raise failure.error() from cause

    def _run(self, pod: V1Pod) -> tuple[V1Pod, list[str]]:
        """Create, follow and delete the pod; return its end, with the end of its log or the cluster's warnings."""
        self.pod = pod  # before it is there: whatever kills this try finds its name
        try:
            self.pod_manager.create_pod(pod)
            if self._starts(pod):
                self._follow(pod)
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

    def _follow(self, pod: V1Pod) -> None:
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
        selector = f"{LABEL}={self.labels[LABEL]}"
        return list(self.client.list_namespaced_pod(self.namespace, label_selector=selector).items)
