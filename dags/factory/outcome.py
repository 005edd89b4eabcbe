"""What a task's exit code and last line mean to Airflow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from airflow.sdk.exceptions import AirflowException, AirflowFailException

TRANSIENT: Final = 30
LARGEST_OWN_CODE: Final = 127
"""Above it a shell or a container engine reports a death by signal: 128 + signal."""


class TaskRetryableError(AirflowException):
    """A failure that may not happen again: a server did not answer, or the task was killed."""


@dataclass(frozen=True)
class TaskFailure:
    """How a task failed. `text` says what, where and what to do."""

    task: str
    exit_code: int
    text: str

    @property
    def retryable(self) -> bool:
        """Only a transient error or a death by signal is worth another try."""
        return self.exit_code == TRANSIENT or self.exit_code < 0 or self.exit_code > LARGEST_OWN_CODE

    def as_xcom(self) -> dict[str, Any]:
        """Pushed under the key `failure`, for the audit log and whoever follows the run."""
        return {"task": self.task, "exit_code": self.exit_code, "text": self.text}

    def error(self) -> AirflowException:
        """The exception that makes Airflow retry, or not."""
        return TaskRetryableError(self.text) if self.retryable else AirflowFailException(self.text)


def read_result(last_line: str) -> dict[str, Any]:
    """The JSON object a finished task printed last.

    Raises:
        AirflowFailException: the line is no such object.
    """
    try:
        result = json.loads(last_line)
    except ValueError as error:
        raise AirflowFailException(f"the task's last line is no JSON object: {last_line[:200]!r}") from error
    if not isinstance(result, dict) or "outputs" not in result:
        raise AirflowFailException(f"the task's last line has no outputs: {last_line[:200]!r}")
    return result


def read_failure(task: str, exit_code: int, last_line: str, log_tail: str) -> TaskFailure:
    """Describe a failed task by its own error, or by the end of its log where it left none."""
    try:
        error = json.loads(last_line)["error"]
        text = f"{error['code']}: {error['message']} [where: {error['where']}] [do: {error['remedy']}]"
    except (ValueError, KeyError, TypeError):
        ending = f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with {exit_code}"
        text = f"the task {task} {ending}\n{log_tail}".strip()
    return TaskFailure(task, exit_code, text)
