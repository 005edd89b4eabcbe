"""Models for the registry's tests."""

from __future__ import annotations

from core.stores.registry import ModelFacts


def model_facts(number: int, **changes: object) -> ModelFacts:
    version = f"20240101_0000_{number:08x}"
    values: dict[str, object] = {
        "model_version": version,
        "created_by": "core_publish_flow",
        "dataset_index_path": f"{version}/dataset_index.parquet",
        "feature_schema_path": f"{version}/feature_schema.json",
        "model_ai1_path": f"{version}/model_ai1.pkl",
        "model_ai2_path": f"{version}/model_ai2.pkl",
        "model_ai3_path": f"{version}/model_ai3.pkl",
        "params_yaml_path": f"{version}/params.yaml",
        "metrics_json": {"sharpe": 1.5, "auc": 0.61},
        "theta1": 0.7,
        "theta2": 0.3,
        "code_hash": "c0de",
        "data_hash": "da7a",
        "seed": 7,
    }
    return ModelFacts(**{**values, **changes})  # type: ignore[arg-type]
