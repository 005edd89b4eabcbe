"""leak_certificate.json of a run: the training's, the θ search's, and both in one for the bundle (docs/leakage.md)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.config.settings import Settings
from core.errors import InputError
from core.market.pairs import Floats
from core.models.fit_record import FitRecord
from core.models.leakage.certificate import (
    THETA_CHECKS,
    TRAINING_CHECKS,
    Certificate,
    Check,
    certify,
    join,
    read_certificate,
    require_passed,
)
from core.models.leakage.future_noise import Decide, Learned
from core.models.leakage.training import check_training
from core.models.predictor import Predictions
from core.signals.decision import passes
from core.signals.sizing import position_scale
from core.stores.files import write_bytes
from core.stores.run_folder import RunFolder, RunIdentity
from core.thresholds.leakage import check_theta
from core.thresholds.objective import SearchData
from core.thresholds.search import SearchOutcome
from tasks.replay_record import previous_theta


def certify_training(
    run: RunFolder, identity: RunIdentity, settings: Settings, learned: Learned, final: FitRecord
) -> None:
    """Check a training and write model/leak_certificate.json, passed or not.

    Raises:
        QualityError: LEAK_CHECK_FAILED, naming every check that failed.
    """
    policy, seed = settings.retrain_policy.leak_certificate, settings.retrain_policy.seed
    decide = _decisions(settings, *previous_theta(settings, identity.previous))
    checks = check_training(learned, final, policy, decide, seed)
    _keep(run.training_certificate, identity.model_version, seed, checks, TRAINING_CHECKS)


def certify_theta(
    run: RunFolder,
    identity: RunIdentity,
    settings: Settings,
    data: SearchData,
    outcome: SearchOutcome,
    adoption_start: int,
) -> None:
    """Check a θ search and write theta/leak_certificate.json, passed or not.

    Raises:
        QualityError: LEAK_CHECK_FAILED, naming every check that failed.
    """
    checks = check_theta(data, outcome, settings.core_policy.theta_objective, adoption_start, identity.seed)
    _keep(run.theta_certificate, identity.model_version, identity.seed, checks, THETA_CHECKS)


def joined_certificate(run: RunFolder, model_version: str) -> Certificate:
    """Both certificates in one.

    Raises:
        InputError: one is absent, unreadable or of another version.
        QualityError: LEAK_CHECK_FAILED when a check failed or was not made.
    """
    both = join(
        _read(run.training_certificate, model_version),
        _read(run.theta_certificate, model_version),
    )
    require_passed(both, (*TRAINING_CHECKS, *THETA_CHECKS), str(run.path))
    return both


def _decisions(settings: Settings, theta1: float, theta2: float) -> Decide:
    core = settings.core_policy

    def decide(predictions: Predictions, z: Floats) -> Floats:
        taken = passes(predictions.return_prob, predictions.risk_score, theta1, theta2, z, core.decision)
        return np.column_stack((taken.astype(np.float64), position_scale(predictions.excursion, core.position_scale)))

    return decide


def _keep(path: Path, model_version: str, seed: int, checks: Iterable[Check], expected: tuple[str, ...]) -> None:
    certificate = certify(model_version, seed, checks)
    write_bytes(path, certificate.to_json())
    require_passed(certificate, expected, str(path))


def _read(path: Path, model_version: str) -> Certificate:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "LEAK_CERTIFICATE_MISSING",
            "there is no leak certificate, and nothing is published without one",
            where=str(path),
            remedy="run train and theta of this run again",
        ) from error
    certificate = read_certificate(content, str(path))
    if certificate.model_version != model_version:
        raise InputError(
            "LEAK_CERTIFICATE_MISMATCH",
            f"the leak certificate is of version {certificate.model_version}, not {model_version}",
            where=str(path),
            remedy="run train and theta of this run again",
        )
    return certificate
