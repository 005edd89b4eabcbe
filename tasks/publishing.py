"""What publish reads from a run, and the bundle and registry facts it makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from core.config.settings import Settings
from core.errors import BlockedError, InputError
from core.models.leakage.certificate import FILE_NAME, Certificate
from core.stores.audit import Audit
from core.stores.bundle_store import CONTENT, PARAMS
from core.stores.files import json_bytes, read_json
from core.stores.registry import ModelFacts
from core.stores.run_folder import RunFolder, RunIdentity
from tasks.gates import Gate, require_gates
from tasks.leakage import joined_certificate

PUBLISHER: Final = "core_publish_flow"
REFUSED: Final = "MODEL_REFUSED"
VERDICT_NUMBERS: Final = (
    "theta1",
    "theta2",
    "sharpe",
    "max_drawdown",
    "trades_per_year",
    "annual_return",
    "psr",
    "dsr",
    "dsr_search",
    "pbo",
    "n_trades",
    "n_pairs",
    "n_bars",
)
STATUSES: Final = {"approved": "adopted", "rejected": "rejected"}
"""What a verdict may say, and the retrain_status that goes with it."""


@dataclass(frozen=True)
class Refusal:
    """A person's no to a judged model, or that of nobody in time."""

    actor: str
    reason: str

    def __str__(self) -> str:
        return f"refused by {self.actor}: {self.reason}"


@dataclass(frozen=True)
class JudgedRun:
    """A run whose verdict is complete, and what stands against publishing it besides."""

    identity: RunIdentity
    verdict: Mapping[str, Any]
    metrics: Mapping[str, Any]
    certificate: Certificate
    refusal: Refusal | None = None

    @property
    def approved(self) -> bool:
        return bool(self.verdict["status"] == "approved") and self.refusal is None

    @property
    def reasons(self) -> list[str]:
        """The verdict's, and the refusal."""
        return [*self.verdict["reasons"], *([str(self.refusal)] if self.refusal is not None else [])]

    @property
    def notes(self) -> str:
        """The registry's notes: what the model is, and every reason, a line each."""
        return "\n".join([f"{'approved' if self.approved else 'rejected'}:", *self.reasons])

    @property
    def replaces(self) -> str | None:
        """The version the model was judged against."""
        return self.identity.previous.model_version if self.identity.previous is not None else None


def read_judged(run: RunFolder, model_version: str) -> JudgedRun:
    """The checklist before anything is published (SPEC REG-2, TRN-2).

    Raises:
        InputError: the run or its verdict is missing, or belongs to another version; a gate has not passed.
        BlockedError: a number the verdict or the metrics need is missing.
        QualityError: a check of the leak certificate failed or was not made.
    """
    identity, verdict, metrics = run.read_identity(), read_json(run.verdict), read_json(run.metrics)
    for path, found in ((run.identity, identity.model_version), (run.verdict, verdict.get("model_version"))):
        if found != model_version:
            raise InputError(
                "PUBLISH_RUN_MISMATCH",
                f"the run is of version {found}, not {model_version}",
                where=str(path),
                remedy="pass the run id and model version the catalog task printed",
            )
    require_gates(run, *Gate)
    stated = verdict.get("status"), verdict.get("retrain_status")
    if stated not in STATUSES.items() or not verdict.get("reasons"):
        found = f"{stated[0]}, {stated[1]}: {'; '.join(verdict.get('reasons') or ['no reason'])}"
        raise BlockedError(
            "PUBLISH_VERDICT_INCOMPLETE",
            f"the verdict needs a status ({' or '.join(STATUSES)}), retrain_status and reasons; it says {found}",
            where=str(run.verdict),
            remedy="run the theta task again",
        )
    absent = [f"{run.verdict.name}: {name}" for name in VERDICT_NUMBERS if not _is_number(verdict.get(name))]
    absent += [f"{run.metrics.name}: {path}" for path in _unfilled(metrics)]
    if absent:
        raise BlockedError(
            "PUBLISH_METRIC_MISSING",
            f"numbers are missing or not finite: {', '.join(absent)}",
            where=str(run.path),
            remedy="run the tasks that write them again; a model without them is not judged",
        )
    return JudgedRun(identity, verdict, metrics, joined_certificate(run, model_version))


def standing_refusal(audit: Audit, model_version: str) -> Refusal | None:
    """The first refusal of a version in audit.config_changes, None where nobody refused it."""
    refusals = (change for change in audit.changes(model_version) if change.event == REFUSED)
    first = next(refusals, None)
    return Refusal(first.actor, first.reason) if first is not None else None


def registry_facts(judged: JudgedRun) -> ModelFacts:
    """The registry's row; paths are relative to models_root."""
    identity, verdict = judged.identity, judged.verdict
    version = identity.model_version
    return ModelFacts(
        model_version=version,
        created_by=PUBLISHER,
        dataset_index_path=f"{version}/dataset_index.parquet",
        feature_schema_path=f"{version}/feature_schema.json",
        model_ai1_path=f"{version}/model_ai1.pkl",
        model_ai2_path=f"{version}/model_ai2.pkl",
        model_ai3_path=f"{version}/model_ai3.pkl",
        params_yaml_path=f"{version}/{PARAMS}",
        metrics_json={"training": judged.metrics, "verdict": verdict},
        theta1=float(verdict["theta1"]),
        theta2=float(verdict["theta2"]),
        code_hash=identity.code_hash,
        data_hash=identity.data_hash,
        seed=identity.seed,
    )


def bundle_content(run: RunFolder, judged: JudgedRun, settings: Settings) -> dict[str, Path | bytes]:
    """The bundle's files: what the run was given and made, params.yaml, and the leak certificate of training and θ."""
    sources: dict[str, Path | bytes] = {
        **run.given,
        "metrics.json": metrics_json(judged),
        "oos_predictions.parquet": run.oos_predictions,
        PARAMS: params_yaml(judged, settings),
        FILE_NAME: judged.certificate.to_json(),
    }
    return {name: sources.get(name, run.model / name) for name in CONTENT}


def metrics_json(judged: JudgedRun) -> bytes:
    """metrics.json of a bundle: the training's numbers, and the verdict with every number behind it (SPEC TRN-2)."""
    content = {**judged.metrics, "retrain_status": judged.verdict["retrain_status"], "verdict": judged.verdict}
    return json_bytes(content)


def params_yaml(judged: JudgedRun, settings: Settings) -> bytes:
    """params.yaml: θ1, θ2, M and everything else the decision of this version rests on (SPEC TRN-3)."""
    identity, policy = judged.identity, settings.core_policy
    content = {
        "model_version": identity.model_version,
        "as_of": identity.as_of,
        "timeframe": identity.timeframe,
        "theta1": float(judged.verdict["theta1"]),
        "theta2": float(judged.verdict["theta2"]),
        "horizon_bars": policy.label.ai1.horizon_bars,
        "label": policy.label.model_dump(mode="json"),
        "decision": policy.decision.model_dump(mode="json"),
        "position_scale": policy.position_scale.model_dump(mode="json"),
        "pairs": [pair.model_dump(mode="json") for pair in settings.universe.pairs],
        "data_hash": identity.data_hash,
        "code_hash": identity.code_hash,
        "config_hash": identity.config_hash,
        "seed": identity.seed,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _unfilled(content: object, path: str = "") -> Iterator[str]:
    """Where a JSON value has a null, which is how a number that is not finite is written."""
    if content is None:
        yield path
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _unfilled(value, f"{path}.{name}" if path else str(name))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _unfilled(value, f"{path}[{number}]")
