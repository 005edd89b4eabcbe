"""feature_schema.json: the columns, how they are computed, and the scalers of a model's inputs (SPEC FEAT-3)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from core.config.core_policy import CorePolicy
from core.errors import InputError
from core.features.alignment import SIGNED
from core.features.scaling import Scalers
from core.features.table import FEATURE_COLUMNS

FORMAT: Final = 1


@dataclass(frozen=True)
class FeatureSchema:
    """`definition` shapes the columns, `scalers` belong to one fit. The hash covers the definition alone (S14)."""

    definition: dict[str, Any]
    scalers: Scalers

    @property
    def model_inputs(self) -> tuple[str, ...]:
        """Columns the models see, in order."""
        return tuple(self.definition["model_inputs"])

    @property
    def schema_hash(self) -> str:
        """Hex SHA-256 of the definition."""
        return definition_hash(self.definition)

    def to_json(self) -> bytes:
        """Deterministic bytes of feature_schema.json."""
        content = {**self.definition, "schema_hash": self.schema_hash, "scalers": self.scalers.to_dict()}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> FeatureSchema:
        """Read feature_schema.json.

        Raises:
            InputError: it is of another format, or its hash is not that of its content.
        """
        try:
            document = json.loads(content)
            scalers = Scalers.from_dict(document.pop("scalers"))
            stated = document.pop("schema_hash")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(f"not a feature schema: {error}") from error
        if document.get("format") != FORMAT:
            raise _unreadable(f"format {document.get('format')!r}, this code reads {FORMAT}")
        schema = cls(definition=document, scalers=scalers)
        if schema.schema_hash != stated:
            raise _unreadable("its schema_hash is not that of its content")
        return schema


def schema_definition(core: CorePolicy) -> dict[str, Any]:
    """Everything that shapes the unscaled columns and which of them the models see."""
    return {
        "format": FORMAT,
        "columns": [{"name": name, "dtype": "float64"} for name in FEATURE_COLUMNS],
        "windows": core.feature_windows.model_dump(mode="json"),
        "model_inputs": list(core.model_inputs),
        "aligned_to_reversion": [name for name in FEATURE_COLUMNS if name in SIGNED],
        "scaling": core.scaling.model_dump(mode="json"),
    }


def definition_hash(definition: dict[str, Any]) -> str:
    """Hex SHA-256 of a definition's canonical JSON."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _unreadable(message: str) -> InputError:
    return InputError(
        "FEATURES_SCHEMA_UNREADABLE",
        message,
        where="feature_schema.json",
        remedy="use the schema file the model was trained with, or retrain",
    )
