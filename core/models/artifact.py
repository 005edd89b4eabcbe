"""The model files of a bundle: pickles of builtins and bytes, nothing that runs code when it is read (SPEC TRN-3)."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from core.errors import InputError
from core.models.calibration import Isotonic

_CLASSIFIER: Final = "ml-assets-core/classifier/1"
_QUANTILE: Final = "ml-assets-core/quantile/1"
_PROTOCOL: Final = 5


@dataclass(frozen=True)
class Classifier:
    """AI1 or AI2: trees in CatBoost's binary format and the calibration of their scores."""

    trees: bytes
    isotonic: Isotonic


@dataclass(frozen=True)
class Quantile:
    """AI3: trees in CatBoost's binary format."""

    trees: bytes


def dump(model: Classifier | Quantile) -> bytes:
    """Bytes of a model file. Equal models give equal bytes."""
    content: dict[str, Any] = {"format": _QUANTILE, "catboost": model.trees}
    if isinstance(model, Classifier):
        isotonic = {"x": model.isotonic.x.tolist(), "y": model.isotonic.y.tolist()}
        content = {"format": _CLASSIFIER, "catboost": model.trees, "isotonic": isotonic}
    return pickle.dumps(content, protocol=_PROTOCOL)


def load_classifier(content: bytes) -> Classifier:
    """Read model_ai1.pkl or model_ai2.pkl. Raises InputError MODEL_ARTIFACT_UNREADABLE for anything else."""
    fields = _read(content, _CLASSIFIER)
    try:
        isotonic = Isotonic(*(np.array(fields["isotonic"][axis], dtype=np.float64) for axis in ("x", "y")))
        return Classifier(trees=bytes(fields["catboost"]), isotonic=isotonic)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"a field is missing or malformed: {error!r}") from error


def load_quantile(content: bytes) -> Quantile:
    """Read model_ai3.pkl. Raises InputError MODEL_ARTIFACT_UNREADABLE for anything else."""
    fields = _read(content, _QUANTILE)
    try:
        return Quantile(trees=bytes(fields["catboost"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"a field is missing or malformed: {error!r}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads builtin containers, numbers, text and bytes; refuses to look up any class or function."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} does not belong in a model file")


def _read(content: bytes, expected: str) -> dict[str, Any]:
    try:
        fields = _PlainUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(str(error)) from error
    if not isinstance(fields, dict) or fields.get("format") != expected:
        found = fields.get("format") if isinstance(fields, dict) else type(fields).__name__
        raise _unreadable(f"its format is {found!r}, not {expected!r}")
    return fields


def _unreadable(found: str) -> InputError:
    return InputError(
        "MODEL_ARTIFACT_UNREADABLE",
        f"the model file cannot be read: {found}",
        where="model_ai1.pkl, model_ai2.pkl or model_ai3.pkl",
        remedy="take the file from a verified bundle, or train again",
    )
