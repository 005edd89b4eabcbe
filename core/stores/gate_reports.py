"""Runs a gate with Great Expectations and keeps its report as HTML a person can open (SPEC CAT-4)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core.errors import QualityError
from core.quality.suites import Suite
from core.stores.files import disk_errors, write_bytes
from core.stores.gate_page import standalone

_NAMED: Final = 5
_PROJECT: Final = """\
config_version: 4.0
analytics_enabled: false
progress_bars: { globally: false }
stores:
  expectations_store:
    class_name: ExpectationsStore
    store_backend: { class_name: TupleFilesystemStoreBackend, base_directory: expectations/ }
  validation_results_store:
    class_name: ValidationResultsStore
    store_backend: { class_name: TupleFilesystemStoreBackend, base_directory: validations/ }
  checkpoint_store:
    class_name: CheckpointStore
    store_backend:
      { class_name: TupleFilesystemStoreBackend, base_directory: checkpoints/, suppress_store_backend_id: true }
  validation_definition_store:
    class_name: ValidationDefinitionStore
    store_backend: { class_name: TupleFilesystemStoreBackend, base_directory: validation_definitions/ }
expectations_store_name: expectations_store
validation_results_store_name: validation_results_store
checkpoint_store_name: checkpoint_store
data_docs_sites:
  report:
    class_name: SiteBuilder
    show_how_to_buttons: false
    store_backend: { class_name: TupleFilesystemStoreBackend, base_directory: ../ }
    site_index_builder: { class_name: DefaultSiteIndexBuilder }
"""


@dataclass(frozen=True)
class GateReport:
    """How a gate ended; `failed` names the expectations that do not hold."""

    passed: bool
    report_path: Path
    failed: list[str]


def run_gate(gate_name: str, suite: Suite, frame: pd.DataFrame, folder: Path) -> GateReport:
    """Hold a frame against a suite and write the report to `folder`/index.html, over an earlier one.

    Raises:
        QualityError: an expectation does not hold; the error names them and the report.
        TransientError: the report cannot be written.
    """
    with disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
        write_bytes(folder / "gx" / "great_expectations.yml", _PROJECT.encode())
        results = _validate(gate_name, suite, frame, folder / "gx")
        _keep_one_page(gate_name, folder)
    report = folder / "index.html"
    failed = [_describe(result) for result in results if not result.success]
    if failed:
        raise QualityError(
            "QUALITY_GATE_FAILED",
            f"the gate {gate_name} failed: {'; '.join(failed)}",
            where=str(report),
            remedy="open the report, mend the data or its source, then run the chain again",
        )
    return GateReport(passed=True, report_path=report, failed=failed)


def _keep_one_page(gate_name: str, folder: Path) -> None:
    """The validation's page as index.html, whole in itself; the site around it, drawn by scripts, goes."""
    (page,) = (folder / "validations").rglob("*.html")
    content = standalone(page.read_text(encoding="utf-8"), gate_name)
    for part in ("validations", "expectations", "static"):
        shutil.rmtree(folder / part)
    write_bytes(folder / "index.html", content.encode())


def _validate(gate_name: str, suite: Suite, frame: pd.DataFrame, context_root: Path) -> list[Any]:
    import great_expectations as gx  # noqa: PLC0415 - seconds to import
    from great_expectations.checkpoint import UpdateDataDocsAction  # noqa: PLC0415
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
        ExpectationConfiguration,
    )

    context = gx.get_context(mode="file", context_root_dir=context_root)
    expectations = [
        ExpectationConfiguration(type=each.kind, kwargs=dict(each.arguments)).to_domain_obj()
        for each in suite.expectations
    ]
    kept = context.suites.add(gx.ExpectationSuite(name=suite.name, expectations=expectations))
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset(gate_name)
    batch = asset.add_batch_definition_whole_dataframe("all")
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=gate_name, data=batch, suite=kept))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=gate_name,
            validation_definitions=[definition],
            actions=[UpdateDataDocsAction(name="report")],
            result_format="SUMMARY",
        )
    )
    outcome = checkpoint.run(batch_parameters={"dataframe": frame}, run_id=gx.RunIdentifier(run_name=gate_name))
    return [result for each in outcome.run_results.values() for result in each.results]


def _describe(result: Any) -> str:
    """One failed expectation in words: which column, how many values, which ones."""
    arguments = result.expectation_config.kwargs
    pair = [arguments[name] for name in ("column_A", "column_B") if name in arguments]
    columns = arguments.get("column_list") or pair or [arguments.get("column", "table")]
    name = f"{result.expectation_config.type}({', '.join(columns)})"
    errors = [info["exception_message"] for info in _exceptions(result) if info.get("raised_exception")]
    if errors:
        return f"{name}: {errors[0].splitlines()[0]}"
    facts = result.result
    if "unexpected_count" in facts:
        examples = facts.get("partial_unexpected_list", [])[:_NAMED]
        return f"{name}: {facts['unexpected_count']} of {facts['element_count']} values, e.g. {examples}"
    return f"{name}: {facts.get('observed_value')}"


def _exceptions(result: Any) -> list[dict[str, Any]]:
    info = result.exception_info or {}
    return [info] if "raised_exception" in info else list(info.values())
