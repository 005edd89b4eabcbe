"""How flows ended."""

from __future__ import annotations

from core.stores.audit import Audit
from core.stores.tables import RunStatus


def test_an_ending_is_recorded_once(registry_url: str) -> None:
    audit = Audit(registry_url)
    assert audit.record_run("core_publish_flow", "t1", RunStatus.REJECTED, "r1", "Sharpe too low")
    assert not audit.record_run("core_publish_flow", "t1", RunStatus.REJECTED, "r1", "Sharpe too low")
    (run,) = audit.runs(10)
    assert (run.dag_id, run.trace_id, run.run_id, run.status) == ("core_publish_flow", "t1", "r1", RunStatus.REJECTED)
