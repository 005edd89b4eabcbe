"""Runs a task as a container (`runner: docker`): the site's defaults around DockerOperator."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout
from docker import APIClient
from docker.errors import APIError, ImageNotFound, NotFound
from urllib3.exceptions import HTTPError

from dags.factory.command_line import without_empty_options
from dags.factory.container_image import pull_missing
from dags.factory.outcome import (
    NOT_STARTED,
    TRANSIENT,
    TaskFailure,
    fail,
    fail_timed_out,
    read_failure,
    read_report,
    read_result,
    result_line,
)

LABEL: Final = "ml-assets-core.task"
RUN_LABEL: Final = "ml-assets-core.run"
TRY_LABEL: Final = "ml-assets-core.try"
STOP_SECONDS: Final = 3
"""Shorter than the five seconds Airflow leaves `on_kill`."""
TAIL_LINES: Final = 15
_ENGINE_ERRORS: Final = (OSError, HTTPError)
"""What docker-py raises: of a request (an OSError too), and unwrapped where a stream breaks off."""
_GOING: Final = (404, 409)
"""The engine's answers about a container that is no more, or that somebody else removes just now."""
_STATUS_CODE: Final = re.compile(r"'StatusCode': (\d+)")


def ending_run(hook: Callable[[Context], None]) -> Callable[[Context], None]:
    """`hook` before the ContainerTask that runs when all others of its run have ended, and removes what they left.

    Nobody else removes the container of a task whose worker was killed at its last try. The task's own work comes
    first: a container that cannot be removed must not keep a failure from being recorded.
    """

    def run_hook(context: Context) -> None:
        task: ContainerTask = context["task"]
        task.ends_run = True
        try:
            hook(context)
        except AirflowSkipException:
            task.tidy_up(context)
            raise

    return run_hook


class ContainerTask(DockerOperator):
    """The same command line as a ProcessTask, with the same result and the same failures.

    The container is removed however the try ends, and no other. One that an earlier try could not remove, because its
    worker was killed, is found by its label and removed before a new one starts.

    Args:
        command: the words of the command line, templated.
        host: what the engine is told beyond DockerOperator's own arguments, by docker-py's names for a host
            configuration.
    """

    template_fields: ClassVar[Sequence[str]] = (*DockerOperator.template_fields, "labels")

    def __init__(self, *, command: Sequence[str], host: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(
            command=list(command),
            mount_tmp_dir=False,  # the engine may be remote: a folder of the worker means nothing there
            auto_remove="never",  # `execute` stops it first, so that the task can say that it ended
            labels={
                LABEL: "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}",
                RUN_LABEL: "{{ dag.dag_id }}/{{ run_id }}",
                TRY_LABEL: "{{ ti.try_number }}",
            },
            **kwargs,
        )
        self.host = dict(host)
        self.report: str | None = None
        self.ends_run = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the container; return the task's result. Raises as ProcessTask does."""
        self.command: list[str] = without_empty_options(self.command)
        try:
            return self._run(context)
        except AirflowTaskTimeout:
            fail_timed_out(self, context)
            raise
        except _ENGINE_ERRORS as error:
            fail(self, context, self._engine_failure(error), error)

    def tidy_up(self, context: Context) -> None:
        """Remove what is removed at the task's end, where it has nothing to run. Raises as `execute` does."""
        try:
            self._engine(context)
            self._remove_at_end()
        except _ENGINE_ERRORS as error:
            fail(self, context, self._engine_failure(error), error)

    def on_kill(self) -> None:
        """Stop and remove the container: ask, then kill."""
        if self.hook.client_created:
            self._remove(self._containers(LABEL, TRY_LABEL))

    def _run(self, context: Context) -> dict[str, Any]:
        engine = self._engine(context)
        try:
            absent = pull_missing(engine, self.task_id, self.image)  # DockerOperator would go on without one
            if absent is not None:
                fail(self, context, absent)
            engine.create_host_config = functools.partial(type(engine).create_host_config, engine, **self.host)
            self._remove(self._containers(LABEL))
            super().execute(context)
            last_line = self._result_line()
        except DockerContainerFailedException as error:
            lines = [line.decode() if isinstance(line, bytes) else line for line in error.logs or []]
            code = _STATUS_CODE.search(str(error))
            tail = "\n".join(lines[-TAIL_LINES:])
            last_line = self._result_line()
            fail(self, context, read_failure(self.task_id, int(code[1]) if code else 1, last_line, tail), error)
        finally:
            self._remove_at_end()
        self.report = read_report(last_line)
        return read_result(last_line)

    def _engine(self, context: Context) -> APIClient:
        try:
            return self.cli
        except AirflowException as error:  # all that the hook says where no engine answers
            fail(
                self,
                context,
                TaskFailure(self.task_id, TRANSIENT, f"the container engine does not answer: {error}"),
                error,
            )

    def _result_line(self) -> str:
        """What the ended container said last on standard output.

        While it runs the engine mixes both streams in any order, and a connection that ends early loses the rest.
        """
        said: bytes = self.cli.logs(self.container["Id"], stdout=True, stderr=False)
        return result_line([line.decode("utf-8", errors="replace") for line in said.splitlines()])

    def _engine_failure(self, error: Exception) -> TaskFailure:
        """An engine that is away or a container that vanished may be there the next time; a refused request is not."""
        refused = isinstance(error, ImageNotFound) or (
            isinstance(error, APIError) and error.is_client_error() and not isinstance(error, NotFound)
        )
        return TaskFailure(
            self.task_id, NOT_STARTED if refused else TRANSIENT, f"the container engine failed the task: {error}"
        )

    def _remove_at_end(self) -> None:
        """Not what another try of this task started: Airflow may have given this one up, and the next runs already."""
        self._remove(self._containers(LABEL, TRY_LABEL))
        if self.ends_run:
            of_run = self._containers(RUN_LABEL)
            self._remove([each for each in of_run if each["Labels"][LABEL] != self.labels[LABEL]])

    def _containers(self, *names: str) -> list[dict[str, Any]]:
        """Every container of this stack that bears this try's own value of each of these labels."""
        labels = [f"{name}={self.labels[name]}" for name in names]
        found: list[dict[str, Any]] = self.cli.containers(
            all=True, filters={"label": labels, "network": self.network_mode}
        )
        return found

    def _remove(self, containers: Sequence[Mapping[str, Any]]) -> None:
        for container in containers:
            self.log.info("Removing the container %s (%s)", container["Id"], container.get("State", ""))
            try:
                self.cli.stop(container["Id"], timeout=STOP_SECONDS)
                self.cli.remove_container(container["Id"], v=True, force=True)
            except APIError as error:
                if error.status_code not in _GOING:
                    raise
                self.log.info("The container %s is gone, or going, already", container["Id"])
