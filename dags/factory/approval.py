"""Asks a person before an approved model is published, and says who refused and why."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseNotifier, Context
from airflow.sdk.exceptions import AirflowSkipException

from core.config.environment_variables import read_required
from dags.factory.command_line import in_words

EVENT: Final = "approval_requested"
ANSWER: Final = "answer"
NOBODY: Final = "time-out"
"""Who refused where nobody answered."""


class Approval(ApprovalOperator):
    """Waits for a person where the rehearsal says that a model would be deployed; silence means no.

    It is skipped where nothing would be deployed: nobody need be asked to publish a rejection. What would be deployed
    is read from what the task `rehearse` found on disk, not from the run's parameters.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(defaults=ApprovalOperator.REJECT, **kwargs)

    def execute(self, context: Context) -> Any:
        """Skip, or ask and wait. The answer is the task's result."""
        rehearsed = context["ti"].xcom_pull(task_ids="rehearse")["outputs"]["status"]
        if context["params"]["dry_run"] or rehearsed != "would be deployed":
            raise AirflowSkipException(f"nothing is deployed ({rehearsed}): nobody need approve")
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Leave the answer for `refuse`: a rejection skips what follows before it becomes the task's result."""
        if "error" not in event:
            person = event["responded_by_user"] or {"name": NOBODY}
            refused = event["chosen_options"] != [self.APPROVE]
            given = event["params_input"].get("reason") or "rejected without a reason"
            reason = "nobody approved in time" if event["timedout"] else given
            answer = {"refused": refused, "actor": in_words(person["name"]), "reason": in_words(reason)}
            context["ti"].xcom_push(key=ANSWER, value=answer)
        return super().execute_complete(context, event)


class ApprovalRequested(BaseNotifier):
    """Posts the event `approval_requested` to the outbox, once for every time somebody is asked.

    Args:
        key: what the outbox knows the request by.
        fields: what the message is filled with, and `link`, where the answer is given.
    """

    template_fields = ("key", "fields")

    def __init__(self, key: str, fields: Mapping[str, str]) -> None:
        super().__init__()
        self.key = key
        self.fields = dict(fields)

    def notify(self, context: Context) -> None:
        """Raises TransientError where PostgreSQL does not answer."""
        from core.telemetry.outbox import Outbox  # noqa: PLC0415 - a database client, which no flow file needs

        link = ApprovalOperator.generate_link_to_ui_from_context(context=context)
        Outbox(read_required("POSTGRES_URL", os.environ)).post(EVENT, self.key, {**self.fields, "link": link})


def read_refusal(ti: Any) -> dict[str, str]:
    """Actor and reason of a refusal by the task `approve`; empty where it did not refuse."""
    answer = ti.xcom_pull(task_ids="approve", key=ANSWER)
    return dict(answer) if answer is not None and answer["refused"] else {}


def read_approver(ti: Any) -> str:
    """Who approved at the task `approve`; empty where nobody did, even where the task counts as a success by hand."""
    answer = ti.xcom_pull(task_ids="approve", key=ANSWER)
    return str(answer["actor"]) if answer is not None and not answer["refused"] else ""


def skip_unless_refused(context: Context) -> None:
    """Before refuse: an approved, or never asked, publication has nothing to register."""
    if not read_refusal(context["ti"]):
        raise AirflowSkipException("nobody refused")
