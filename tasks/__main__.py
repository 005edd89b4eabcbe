"""`python -m tasks NAME …`: every task of the chain and the commands around it.

Only the named task's module is imported, so that a light command starts fast.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from tasks.app import GlobalOptions

COMMANDS: Final = {
    "database": ("tasks.database", "Create or upgrade the PostgreSQL schemas."),
    "keys": ("tasks.keys", "Make the key pair that signs artifact bundles."),
    "ingest": ("tasks.ingest", "Import bars into the canonical lake."),
    "catalog": ("tasks.catalog", "Index the lake and identify the run."),
    "gate": ("tasks.gate", "Hold what a run has written against one of its gates."),
    "features": ("tasks.features", "Build a run's features, or export a pair's rows."),
    "train": ("tasks.train", "Walk forward, then fit the models on all data."),
    "backtest": ("tasks.backtest", "Backtest all candidates at the previous θ."),
    "theta": ("tasks.theta", "Search θ, backtest once at it, and give the verdict."),
    "report": ("tasks.report", "Write the report of a judged run, HTML and PDF."),
    "publish": ("tasks.publish", "Register, sign and distribute the judged model."),
    "refuse": ("tasks.refuse", "Register the judged model as rejected, in a person's name."),
    "infer": ("tasks.infer", "Emit the newest signal of the deployed model."),
    "admit": ("tasks.admit", "Let a retraining start, unless retraining is paused."),
    "record-run": ("tasks.record_run", "Write how a flow ended to the audit log."),
    "watch": ("tasks.watch", "Deliver notifications and watch heartbeats, until stopped."),
    "registry": ("tasks.registry", "List and show registered models."),
    "verify": ("tasks.verify", "Verify a bundle's signature and checksums."),
    "reproduce": ("tasks.reproduce", "Rebuild a model from its record and compare it."),
    "explain": ("tasks.explain", "Replay a signal, or the decision at any bar."),
    "storage": ("tasks.storage", "Look after the object store that holds the archive."),
    "universe": ("tasks.universe", "Start a configuration for bars never seen before."),
}


class _LazyGroup(TyperGroup):
    """Looks a command up in COMMANDS and imports its module only when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def main(
    command: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="CONFIG_ROOT", help="Configuration folder with base/ and envs/."),
    ] = None,
    trace_id: Annotated[str, typer.Option(help="Groups the logs and progress of one chain of tasks.")] = "manual",
    pairs: Annotated[
        str | None, typer.Option(help="Only these pairs of universe.yaml, ids separated by commas; all tasks of a run.")
    ] = None,
    history_months: Annotated[
        int | None, typer.Option(help="Only this many of the newest months; all tasks of a run.")
    ] = None,
) -> None:
    """Tasks of ml-assets-core.

    Exit codes: 0 done (a rejected model is done), 2 wrong options, 10 a data-quality gate failed, 11 blocked, 12 a
    rebuild or replay differs from the record, 20 bad configuration or input, 30 a server or disk did not answer
    (try again).

    Example: python -m tasks --config configs ingest
    """
    chosen = None if pairs is None else tuple(pairs.split(","))
    command.obj = GlobalOptions(config_root=config, trace_id=trace_id, pairs=chosen, history_months=history_months)


if __name__ == "__main__":
    app(prog_name="python -m tasks")
