"""leak_certificate.json: named checks, each with what was compared, how many, and whether it held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InputError, QualityError

FILE_NAME: Final = "leak_certificate.json"
TRAINING_CHECKS: Final = (
    "windows_cross_validation",
    "windows_walk_forward",
    "windows_final",
    "future_noise_features",
    "future_noise_labels",
    "future_noise_predictions",
    "future_noise_decisions",
    "scalers",
    "calibrations",
)
THETA_CHECKS: Final = ("theta_window", "theta_future_noise")


class Check(BaseModel):
    """One claim and how it was tried."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(description="the claim's name")
    compared: str = Field(description="what was compared with what")
    count: int = Field(ge=0, description="how many comparisons; a check that compared nothing does not pass")
    passed: bool
    found: str = Field(description="what broke the claim and where; empty when it holds")


class Certificate(BaseModel):
    """The checks of one model version. `passed` is true when every one of them passed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model_version: str
    seed: int = Field(description="seed of the moments, folds and noise that were drawn")
    passed: bool
    checks: tuple[Check, ...]

    def to_json(self) -> bytes:
        """The file's bytes: sorted keys, two-space indents."""
        return orjson.dumps(self.model_dump(mode="json"), option=_FORMAT)


_FORMAT: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def conclude(name: str, compared: str, count: int, found: Iterable[str]) -> Check:
    """A check's outcome: it passes when something was compared and nothing was found."""
    problems = list(found)
    if count == 0 and not problems:
        problems = ["there was nothing to compare"]
    told = "; ".join(problems[:_TOLD]) + (f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else "")
    return Check(name=name, compared=compared, count=count, passed=not problems, found=told)


_TOLD: Final = 3


def certify(model_version: str, seed: int, checks: Iterable[Check]) -> Certificate:
    """The certificate of these checks."""
    kept = tuple(checks)
    return Certificate(model_version=model_version, seed=seed, passed=all(check.passed for check in kept), checks=kept)


def read_certificate(content: bytes, where: str) -> Certificate:
    """What `Certificate.to_json` wrote. Raises InputError LEAK_CERTIFICATE_UNREADABLE for anything else."""
    try:
        return Certificate.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            "LEAK_CERTIFICATE_UNREADABLE",
            f"this is no leak certificate: {error.error_count()} faults, the first: {error.errors()[0]['msg']}",
            where=where,
            remedy="run the task that writes it again",
        ) from error


def require_passed(certificate: Certificate, expected: Iterable[str], where: str) -> None:
    """Raises QualityError LEAK_CHECK_FAILED unless all `expected` checks are there and every check passed."""
    held = {check.name for check in certificate.checks}
    problems = [f"{check.name}: {check.found}" for check in certificate.checks if not check.passed]
    problems += [f"{name}: was not made" for name in expected if name not in held]
    if problems:
        raise QualityError(
            "LEAK_CHECK_FAILED",
            f"the leak certificate of {certificate.model_version} does not hold: {'. '.join(problems)}",
            where=where,
            remedy="read docs/leakage.md, mend the code the check names, and train again; nothing of this is published",
        )


def join(training: Certificate, theta: Certificate) -> Certificate:
    """One certificate of a version's training and its θ search."""
    return certify(training.model_version, training.seed, (*training.checks, *theta.checks))


def certificate_schema() -> bytes:
    """The published JSON Schema, as the bytes of docs/schemas/leak_certificate.schema.json."""
    schema = Certificate.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return orjson.dumps(schema, option=_FORMAT)
