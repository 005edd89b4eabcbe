"""What a task's exit code and last line mean to Airflow: retry, fail, or skip what follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from airflow.sdk import BaseOperator, Context, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError, AirflowSkipException

BLOCKED: Final = 11
TRANSIENT: Final = 30
LARGEST_OWN_CODE: Final = 127
"""Above it a shell or a container engine reports a death by signal: 128 + signal."""
TIMED_OUT: Final = 124
"""As timeout(1) reports a program it ended."""
NOT_STARTED: Final = 125
"""As docker-run(1) reports a container that could not be started."""


class TaskRetryableError(AirflowException):
    """A failure that may not happen again: a server did not answer, or the task was killed."""


RETRY_POLICY: Final = ExceptionRetryPolicy(
    rules=[
        RetryRule(TaskRetryableError, RetryAction.RETRY, reason="it may not happen again"),
        RetryRule(AirflowRuntimeError, RetryAction.RETRY, reason="Airflow's own API did not answer"),
    ],
    default=RetryAction.FAIL,
)
"""Of every task of ours; how often and after which delay stands in retrain_policy.yaml."""


@dataclass(frozen=True)
class TaskFailure:
    """How a task failed. `text` says what, where and what to do; `report` is the page it wrote all the same."""

    task: str
    exit_code: int
    text: str
    report: str | None = None

    @property
    def retryable(self) -> bool:
        """Only a transient error or a death by signal is worth another try."""
        return self.exit_code == TRANSIENT or self.exit_code < 0 or self.exit_code > LARGEST_OWN_CODE

    def as_xcom(self) -> dict[str, Any]:
        """Pushed under the key `failure`, for the audit log and whoever follows the run."""
        return {"task": self.task, "exit_code": self.exit_code, "text": self.text}

    def error(self) -> AirflowException:
        """The exception that makes Airflow retry, fail, or skip the task and what follows it."""
        if self.exit_code == BLOCKED:
            return AirflowSkipException(self.text)
        return TaskRetryableError(self.text) if self.retryable else AirflowFailException(self.text)


def fail(task: Any, context: Context, failure: TaskFailure, cause: BaseException | None = None) -> NoReturn:
    """Leave word of the failure for record-run, and its report, and end the try as the failure's kind asks."""
    task.report = failure.report
    context["ti"].xcom_push(key="failure", value=failure.as_xcom())
    raise failure.error() from cause


def fail_timed_out(task: BaseOperator, context: Context) -> None:
    """Leave word that the task was ended because it took too long."""
    seconds = task.execution_timeout.total_seconds()
    text = f"the task {task.task_id} took longer than its {seconds:.0f} s (task_timeout_seconds) and was ended"
    context["ti"].xcom_push(key="failure", value=TaskFailure(task.task_id, TIMED_OUT, text).as_xcom())


def result_line(lines: Sequence[str]) -> str:
    """The last of a log's lines that is a JSON object with `outputs`; something else may have been said after it.

    Without one it is the log's last line, and empty where nothing was said at all.
    """
    for line in reversed(lines):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and "outputs" in content:
            return line
    return lines[-1] if lines else ""


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


def read_report(last_line: str) -> str | None:
    """The report a task says it wrote, whether it then finished or failed; None where it names none."""
    try:
        report = json.loads(last_line)["outputs"]["report"]
    except (ValueError, KeyError, TypeError):
        return None
    return report if isinstance(report, str) else None


def read_failure(task: str, exit_code: int, last_line: str, log_tail: str) -> TaskFailure:
    """Describe a failed task by its own error, or by the end of its log where it left none."""
    try:
        error = json.loads(last_line)["error"]
        text = f"{error['code']}: {error['message']} [where: {error['where']}] [do: {error['remedy']}]"
    except (ValueError, KeyError, TypeError):
        ending = f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with {exit_code}"
        text = f"the task {task} {ending}\n{log_tail}".strip()
    return TaskFailure(task, exit_code, text, read_report(last_line))
