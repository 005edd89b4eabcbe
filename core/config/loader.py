"""Reads a configuration tree: base/ whole, envs/<environment>/ replacing top-level keys (SPEC CAT-1, ORC-3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import yaml
from pydantic import ValidationError

from core.config.consistency import find_contradictions
from core.config.faults import ConfigurationError, Fault
from core.config.model import ConfigModel
from core.config.settings import Settings

ServiceEnvironment = Literal["dev", "stg", "prod"]
ENTRY_KEYS = frozenset({"value", "unit", "note"})


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.1 that JSON can hold: dates stay text, and a key written twice is a fault."""


def _mapping_without_duplicates(loader: _PlainLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is one word", key_node.start_mark)
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _text(loader: _PlainLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _refused(loader: _PlainLoader, node: yaml.Node) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, f"{node.tag} has no place here", node.start_mark)


_PlainLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)
_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)
for _kind in ("binary", "omap", "pairs", "set"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refused)


def load_settings(config_root: Path, environment: str) -> Settings:
    """Read, merge and check the whole configuration.

    Args:
        config_root: folder with `base/` and `envs/{dev,stg,prod}/`.
        environment: dev, stg or prod.

    Raises:
        ConfigurationError: with every fault of every file: unknown, missing or mistyped keys, values out of range,
            contradictions between files, unreadable YAML, unknown files.
    """
    if environment not in get_args(ServiceEnvironment):
        expected = f"one of {', '.join(get_args(ServiceEnvironment))}, not {environment!r}"
        raise ConfigurationError([Fault("SERVICE_ENV", "environment", expected)], str(config_root))
    base, overlay = config_root / "base", config_root / "envs" / environment
    if not base.is_dir():
        raise ConfigurationError([Fault("base/", "folder", "a folder of YAML files")], str(config_root))
    faults: list[Fault] = [*_unknown_files(base, "base"), *_unknown_files(overlay, f"envs/{environment}")]
    sections: dict[str, ConfigModel] = {}
    for name, field in Settings.model_fields.items():
        values, file_faults = _read_merged(base, overlay, f"{name}.yaml", environment)
        faults += file_faults
        if file_faults:
            continue
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, ConfigModel)):
            raise TypeError(f"Settings.{name} is not a configuration model")
        try:
            sections[name] = model.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            faults += [_fault(f"{name}.yaml", item) for item in error.errors()]
    faults += find_contradictions(sections, environment)
    if faults:
        raise ConfigurationError(faults, str(config_root))
    return Settings.model_construct(**sections)  # type: ignore[arg-type]


def _unknown_files(folder: Path, label: str) -> list[Fault]:
    known = {f"{name}.yaml" for name in Settings.model_fields}
    if not folder.is_dir():
        return []
    return [
        Fault(f"{label}/{path.name}", "file", f"no such configuration file is known; known: {', '.join(sorted(known))}")
        for path in sorted(folder.iterdir())
        if path.name not in known and not path.name.startswith(".")
    ]


def _read_merged(base: Path, overlay: Path, file: str, environment: str) -> tuple[dict[str, Any], list[Fault]]:
    if not (base / file).is_file():
        return {}, [Fault(f"base/{file}", "file", "this file is required")]
    values, faults = _read(base / file, f"base/{file}")
    if (overlay / file).is_file():
        changed, overlay_faults = _read(overlay / file, f"envs/{environment}/{file}")
        values, faults = {**values, **changed}, faults + overlay_faults
    return values, faults


def _read(path: Path, label: str) -> tuple[dict[str, Any], list[Fault]]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return {}, [Fault(label, "file", f"readable YAML: {' '.join(str(error).split())}")]
    if not isinstance(document, dict):
        return {}, [Fault(label, "file", "a mapping of keys to {value: …}")]
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, entry in document.items():
        if not isinstance(entry, Mapping) or "value" not in entry or not ENTRY_KEYS.issuperset(entry):
            faults.append(Fault(label, str(key), "an entry {value: …} with optional unit and note, and nothing else"))
            continue
        values[str(key)] = entry["value"]
    return values, faults


def _fault(file: str, item: Any) -> Fault:
    key = ".".join(str(part) for part in item["loc"]) or "file"
    if item["type"] == "extra_forbidden":
        return Fault(file, key, "no such key is known; remove it or mend its spelling")
    if item["type"] == "missing":
        return Fault(file, key, "this key is required")
    return Fault(file, key, f"{item['msg']} (found {item['input']!r})"[:500])
