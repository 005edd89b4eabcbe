"""
### core_backtest_flow: every candidate entry, at the previous θ

Replays all candidate entries over the out-of-sample bars and backtests them at the θ that is deployed today (or the
initial one). `core_theta_opt_flow` follows.
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.factory.flow import MODEL, RUN_ID, Flow, chained_params
from dags.factory.tags import Tag

flow = Flow.from_environment()


@dag(
    dag_id="core_backtest_flow",
    schedule=None,
    **flow.arguments(Tag.CORE, Tag.BACKTEST, doc=__doc__, params=chained_params()),
)
def core_backtest_flow() -> None:
    flow.follows(
        flow.task("backtest", MODEL),
        flow.start_next("core_theta_opt_flow"),
        run_id=RUN_ID,
    )


core_backtest_flow()
