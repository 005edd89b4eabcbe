"""dd_policy.yaml: drawdowns at which operations warn, halt or flatten (SPEC OPS-1)."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from core.config.model import ConfigModel, Share


class DdPolicy(ConfigModel):
    """Names are the owner's; values are shares of equity."""

    DD_WARN: Share
    DD_HALT: Share
    DD_FLATTEN: Share
    DD_WARN_PAIR: Share
    DD_HALT_PAIR: Share
    DD_FLATTEN_PAIR: Share

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.DD_WARN < self.DD_HALT < self.DD_FLATTEN:
            raise ValueError("DD_WARN < DD_HALT < DD_FLATTEN must hold")
        if not self.DD_WARN_PAIR < self.DD_HALT_PAIR < self.DD_FLATTEN_PAIR:
            raise ValueError("DD_WARN_PAIR < DD_HALT_PAIR < DD_FLATTEN_PAIR must hold")
        return self
