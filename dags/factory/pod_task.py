"""Runs a task as a Kubernetes pod (`runner: kubernetes`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowTaskTimeout

from core.config.environment import KubernetesRunner
from dags.factory.command_line import TRACE_ID, without_empty_options
from dags.factory.outcome import TaskFailure, fail, fail_timed_out, read_report, read_result

if TYPE_CHECKING:
    from dags.factory.pod_run import PodRun

LABEL: Final = "ml-assets-core.task"
TRACE_LABEL: Final = "ml-assets-core.trace"
_TASK: Final = "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}"


@dataclass(frozen=True)
class PodPlan:
    """What the pods of all tasks have in common.

    Attributes:
        runner: image, namespace, limits and names of the cluster's objects.
        environment: dev, stg or prod.
        config_root: absolute folder of the configuration, the same path for Airflow and in the pod.
        plain: variables without secrets, name → value; ARCHIVE_PATH is where the archive is mounted.
        keys: folder of the signing keys below ARCHIVE_PATH.
        scratch: the archive is an object store: a pod works in a folder of its own, and the claim holds the keys.
        files: NAME_FILE → absolute path at which the Secret's key NAME is mounted.
        deadline_seconds: after which the cluster ends a pod that nobody follows any more.
    """

    runner: KubernetesRunner
    environment: str
    config_root: str
    plain: Mapping[str, str]
    files: Mapping[str, str]
    keys: str
    scratch: bool
    deadline_seconds: int


class PodTask(BaseOperator):
    """The same command line as a ProcessTask, with the same result and the same failures.

    A pod an earlier try of the same task left behind, found by its label, is removed before a new one starts. The pod
    is deleted on every path.

    Args:
        command: the words of the command line, templated; the image's entry point stays.
        plan: what the pods of all tasks have in common.
    """

    template_fields: ClassVar[Sequence[str]] = ("command", "labels")

    def __init__(self, *, command: Sequence[str], plan: PodPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = list(command)
        self.labels = {LABEL: _TASK, TRACE_LABEL: TRACE_ID}
        self.plan = plan
        self.report: str | None = None
        self._run: PodRun | None = None

    def pod_run(self) -> PodRun:
        """The provider's operator for this pod, with the command line and the labels as they are now."""
        from dags.factory.pod_run import PodRun  # noqa: PLC0415 - seconds to import, which reading a flow cannot spare

        words = without_empty_options(self.command)
        return PodRun(task_id=self.task_id, command=words, identity=self.labels, plan=self.plan)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the pod; return the task's result. Raises as ProcessTask does."""
        self._run = self.pod_run()
        try:
            end = self._run.run_to_end(context)
        except AirflowTaskTimeout:
            fail_timed_out(self, context)
            raise
        if isinstance(end, TaskFailure):
            fail(self, context, end)
        self.report = read_report(end)
        return read_result(end)

    def on_kill(self) -> None:
        """Delete the pod."""
        if self._run is not None:
            self._run.on_kill()
