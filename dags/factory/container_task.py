"""Runs a task as a container (`runner: docker`): the site's defaults around DockerOperator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context

from dags.factory.command_line import without_empty_options
from dags.factory.outcome import read_failure, read_result

LABEL: Final = "ml-assets-core.task"
TAIL_LINES: Final = 15
_STATUS_CODE: Final = re.compile(r"'StatusCode': (\d+)")


class ContainerTask(DockerOperator):
    """The same command line as a ProcessTask, with the same result and the same failures.

    A container an earlier try of the same task left behind, found by its label, is removed before a new one starts.
    """

    template_fields: ClassVar[Sequence[str]] = (*DockerOperator.template_fields, "labels")

    def __init__(self, *, command: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            command=list(command),
            mount_tmp_dir=False,  # the engine may be remote: a folder of the worker means nothing there
            auto_remove="force",
            labels={LABEL: "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}"},
            **kwargs,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the container; return the task's result. Raises as ProcessTask does."""
        self.command: list[str] = without_empty_options(self.command)
        self._remove_leftover()
        try:
            last_line = super().execute(context)
        except DockerContainerFailedException as error:
            lines = [line.decode() if isinstance(line, bytes) else line for line in error.logs or []]
            code = _STATUS_CODE.search(str(error))
            last_line = lines[-1].strip() if lines else ""
            failure = read_failure(self.task_id, int(code[1]) if code else 1, last_line, "\n".join(lines[-TAIL_LINES:]))
            context["ti"].xcom_push(key="failure", value=failure.as_xcom())
            raise failure.error() from error
        return read_result(str(last_line or ""))

    def _remove_leftover(self) -> None:
        wanted = f"{LABEL}={self.labels[LABEL]}"
        for container in self.cli.containers(all=True, filters={"label": wanted}):
            self.log.warning("Removing the container %s of an earlier try", container["Id"])
            self.cli.remove_container(container["Id"], force=True)
