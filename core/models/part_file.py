"""One part of a walk-forward as the bytes of a file: arrays by name, nothing that runs code when it is read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.features.scaling import Scalers
from core.models.artifact import Classifier, Quantile
from core.models.calibration import Isotonic
from core.models.fit_record import FitRecord, FoldRecord
from core.models.fitting import Fit, FittedModels
from core.models.learning import TargetName
from core.models.predictor import Predictions
from core.models.walk_forward import StepResult
from core.models.windows import Step

Arrays = Mapping[str, NDArray[Any]]

_SCALERS = ("median", "divisor", "clip")
_MODELS = ("ai1", "ai2", "ai3")
_TARGETS: tuple[TargetName, ...] = ("ai1", "ai2", "ai3")


def dump_step(result: StepResult) -> bytes:
    """Bytes of a step's result; `load_step` gives it back to the last bit."""
    predictions = {f"predictions/{name}": values for name, values in result.predictions._asdict().items()}
    return _bytes({"at": result.at, **predictions, **_record_arrays(result.record)})


def load_step(content: bytes, step: Step, columns: tuple[str, ...]) -> StepResult:
    """Read what `dump_step` wrote.

    Args:
        content: the file.
        step: whose result it is.
        columns: the model inputs.

    Raises:
        ValueError: the content is damaged or something else.
    """
    arrays = _arrays(content)
    try:
        predictions = Predictions(*(arrays[f"predictions/{name}"] for name in Predictions._fields))
        return StepResult(step, arrays["at"], predictions, _record(arrays, columns))
    except KeyError as error:
        raise ValueError(f"{error} is not in it") from error


def dump_fit(fit: Fit) -> bytes:
    """Bytes of a fit; `load_fit` gives it back to the last bit."""
    trees = {f"trees/{name}": np.frombuffer(getattr(fit.models, name).trees, dtype=np.uint8) for name in _MODELS}
    return _bytes({**trees, **_record_arrays(fit.record)})


def load_fit(content: bytes, columns: tuple[str, ...]) -> Fit:
    """Read what `dump_fit` wrote. Raises ValueError where it is damaged or something else."""
    arrays = _arrays(content)
    try:
        record = _record(arrays, columns)
        ai1, ai2, ai3 = (arrays[f"trees/{name}"].tobytes() for name in _MODELS)
        models = FittedModels(
            ai1=Classifier(ai1, record.calibrations["ai1"]),
            ai2=Classifier(ai2, record.calibrations["ai2"]),
            ai3=Quantile(ai3),
            scalers=record.scalers,
        )
    except KeyError as error:
        raise ValueError(f"{error} is not in it") from error
    return Fit(models, record)


def _bytes(arrays: Arrays) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, OSError, AttributeError) as error:
        raise ValueError(f"no archive of arrays: {error}") from error


def _record_arrays(record: FitRecord) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"train": record.train, **_scaler_arrays("scalers", record.scalers)}
    for number, fold in enumerate(record.folds):
        place = f"folds/{number}"
        arrays |= {f"{place}/train": fold.train, f"{place}/test": fold.test, **_scaler_arrays(place, fold.scalers)}
    arrays |= {f"unseen/{name}": scores for name, scores in record.unseen_scores.items()}
    for name, isotonic in record.calibrations.items():
        arrays |= {f"isotonic/{name}/x": isotonic.x, f"isotonic/{name}/y": isotonic.y}
    return arrays


def _record(arrays: Arrays, columns: tuple[str, ...]) -> FitRecord:
    folds: list[FoldRecord] = []
    while (place := f"folds/{len(folds)}") + "/train" in arrays:
        fold = FoldRecord(arrays[f"{place}/train"], arrays[f"{place}/test"], _scalers(arrays, place, columns))
        folds.append(fold)
    return FitRecord(
        train=arrays["train"],
        scalers=_scalers(arrays, "scalers", columns),
        folds=tuple(folds),
        unseen_scores={name: arrays[f"unseen/{name}"] for name in _TARGETS if f"unseen/{name}" in arrays},
        calibrations={
            name: Isotonic(arrays[f"isotonic/{name}/x"], arrays[f"isotonic/{name}/y"])
            for name in _TARGETS
            if f"isotonic/{name}/x" in arrays
        },
    )


def _scaler_arrays(place: str, scalers: Scalers) -> dict[str, NDArray[Any]]:
    return {f"{place}/{name}": getattr(scalers, name) for name in _SCALERS}


def _scalers(arrays: Arrays, place: str, columns: tuple[str, ...]) -> Scalers:
    return Scalers(columns, *(arrays[f"{place}/{name}"] for name in _SCALERS))
