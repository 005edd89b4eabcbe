"""How flows ended, and how many chains failed in a row."""

from __future__ import annotations

from core.stores.audit import Audit
from core.stores.tables import RunStatus


def test_an_ending_is_recorded_once(registry_url: str) -> None:
    audit = Audit(registry_url)
    assert audit.record_run("core_publish_flow", "t1", RunStatus.REJECTED, "r1", "Sharpe too low")
    assert not audit.record_run("core_publish_flow", "t1", RunStatus.REJECTED, "r1", "Sharpe too low")
    (run,) = audit.runs(10)
    assert (run.dag_id, run.trace_id, run.run_id, run.status) == ("core_publish_flow", "t1", "r1", RunStatus.REJECTED)


def test_failures_in_a_row_count_chains_and_end_at_any_other_ending(registry_url: str) -> None:
    audit = Audit(registry_url)
    assert audit.failures_in_a_row() == 0
    endings = [
        ("t1", RunStatus.FAILED, 1),
        ("t2", RunStatus.SUCCEEDED, 0),
        ("t3", RunStatus.FAILED, 1),
        ("t4", RunStatus.FAILED, 2),
        ("t4", RunStatus.FAILED, 2),
        ("t5", RunStatus.REJECTED, 0),
        ("t6", RunStatus.FAILED, 1),
        ("t6", RunStatus.SUCCEEDED, 0),
        ("t7", RunStatus.BLOCKED, 0),
    ]
    for number, (trace, status, expected) in enumerate(endings):
        audit.record_run(f"flow_{number}", trace, status, None, None)
        assert audit.failures_in_a_row() == expected, (trace, status)
