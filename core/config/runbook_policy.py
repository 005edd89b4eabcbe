"""runbook_policy.yaml: who may halt and resume, and how a resume is staged (SPEC OPS-2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.config.model import ConfigModel, PositiveInt, Share, Text


class ResumePolicy(ConfigModel):
    approvers: Annotated[tuple[Text, ...], Field(min_length=2)]
    canary_share: Share
    canary_minutes: PositiveInt


class RunbookPolicy(ConfigModel):
    halt_approver: Text
    resume_policy: ResumePolicy
    rollback_sharpe_drop: Share
    rollback_max_drawdown_rise: Share
