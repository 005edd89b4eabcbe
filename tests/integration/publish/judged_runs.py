"""Runs that have been judged, as the theta task leaves them, and the context to publish them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from core.config.environment_variables import EnvironmentVariables
from core.config.loader import load_settings
from core.config.run_configuration import run_configuration
from core.models.leakage.certificate import THETA_CHECKS, TRAINING_CHECKS, Check, certify
from core.stores.files import write_bytes, write_json
from core.stores.roots import StorageRoots
from core.stores.run_folder import PreviousModel, RunFolder, RunIdentity
from core.stores.signing import SigningKeys, keys_present, make_keys
from core.telemetry.progress import LoggedProgress
from tasks.context import TaskContext
from tasks.gates import Gate
from tests.fixtures.config_tree import CONFIGS
from tests.fixtures.gates import pass_gates


def make_context(archive: Path, postgres_url: str, redis_url: str, trace_id: str = "t1") -> TaskContext:
    """A context on real servers, with a signing key pair."""
    settings = load_settings(CONFIGS, "dev")
    log = structlog.stdlib.get_logger()
    context = TaskContext(
        settings=settings,
        variables=EnvironmentVariables("dev", "INFO", postgres_url, redis_url, {"ARCHIVE_PATH": str(archive)}),
        roots=StorageRoots.below(archive, settings.ml_core_storage),
        log=log,
        progress=LoggedProgress(log),
        trace_id=trace_id,
        config_root=CONFIGS,
    )
    keys = SigningKeys.below(archive, settings.environment.signing)
    if not keys_present(keys):
        make_keys(keys)
    return context


def version_of(number: int) -> str:
    return f"20240101_0000_{number:08x}"


def judged_run(
    context: TaskContext, number: int, *, status: str = "approved", previous: str | None = None, **verdict: Any
) -> str:
    """Write a judged run and return its id, which is its version."""
    version = version_of(number)
    run = context.run(version)
    run.write_identity(
        RunIdentity(
            run_id=version,
            model_version=version,
            as_of="2024-01-01T00:00:00Z",
            timeframe="1h",
            data_hash="da7a",
            code_hash="c0de",
            config_hash="c0f1",
            seed=7,
            previous=PreviousModel(previous, 0.7, 0.3) if previous else None,
        )
    )
    write_json(run.verdict, {**_verdict(version, status), **verdict})
    write_json(run.metrics, {"oos": {"ai1": {"auc": 0.61}}})
    for path, names in ((run.training_certificate, TRAINING_CHECKS), (run.theta_certificate, THETA_CHECKS)):
        checks = [Check(name=name, compared="rows", count=1, passed=True, found="") for name in names]
        write_bytes(path, certify(version, 7, checks).to_json())
    _write_artifacts(run)
    write_json(run.configuration, run_configuration(context.settings))
    pass_gates(run, *Gate)
    return version


def _verdict(version: str, status: str) -> dict[str, Any]:
    return {
        "model_version": version,
        "status": status,
        "retrain_status": "adopted" if status == "approved" else "rejected",
        "reasons": ["Sharpe 1.60 on the adoption window: above 1.20"],
        "theta1": 0.71,
        "theta2": 0.31,
        "sharpe": 1.6,
        "max_drawdown": 0.05,
        "trades_per_year": 210.0,
        "annual_return": 0.11,
        "psr": 0.98,
        "dsr": 0.94,
        "dsr_search": 0.6,
        "pbo": 0.4,
        "n_trades": 210,
        "n_pairs": 8,
        "n_bars": 100_000,
        "limits": {},
        "window": {"start": "2023-01-01", "end": "2024-01-01"},
        "previous": None,
    }


def _write_artifacts(run: RunFolder) -> None:
    names = ("model_ai1.pkl", "model_ai2.pkl", "model_ai3.pkl", "feature_schema.json")
    given = [path for path in run.given.values() if path != run.identity]
    files = [*given, run.extreme_rows, run.oos_predictions, *(run.model / name for name in names)]
    for path in files:
        write_bytes(path, f"{path.name} of {run.path.name}".encode())
