"""universe: start a configuration for bars never seen before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from core.config.loader import load_settings
from core.config.pipeline_policy import Timeframe
from core.errors import InputError
from tasks.context import REPOSITORY, TaskResult
from tasks.universe.discovery import discover
from tasks.universe.ending import run_and_report
from tasks.universe.layout import detect_layout
from tasks.universe.rendering import cost_table_yaml, sources_yaml, universe_yaml
from tasks.universe.tree import refuse_existing, write_tree

app = typer.Typer(no_args_is_help=True, help="Start a configuration for bars never seen before.")


@app.callback()
def universe() -> None:
    """Start a configuration for bars never seen before."""


@app.command()
def init(
    command: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder with one Parquet or CSV file of bars a symbol.")],
    out: Annotated[Path, typer.Option(help="Folder to write the configuration to.")],
    timeframe: Annotated[
        str | None, typer.Option(help="1m, 5m, 15m, 1h, 4h or 1d; read from the stamps when not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
) -> None:
    """Write a commented configuration for a folder of bars.

    Everything but universe, costs and sources is copied from --config, or from the shipped configuration. Symbols and
    pairs it knows keep their entries; the others are guessed from names, prices and stamps, and the guesses are marked.

    Example: python -m tasks universe init --data ../bars --out my-config
    """
    source = command.find_root().obj.config_root or REPOSITORY / "configs"
    run_and_report("universe-init", lambda: start_configuration(data, out, source, timeframe, force=force))


def start_configuration(data: Path, out: Path, source: Path, timeframe: str | None, *, force: bool) -> TaskResult:
    """Body of `universe init`: detect, guess, write.

    Raises:
        InputError: bars, file names or the time frame cannot be read or used; `out` exists and `force` is not given,
            or it is no configuration.
        TransientError: the disk refused to write.
    """
    refuse_existing(out, force=force)
    allowed: tuple[Timeframe, ...] = get_args(Timeframe)
    chosen = next((each for each in allowed if each == timeframe), None)
    if timeframe is not None and chosen is None:
        remedy = f"use one of {', '.join(allowed)}"
        raise InputError("CONFIG_INIT_TIMEFRAME", f"no time frame {timeframe!r}", where="--timeframe", remedy=remedy)
    known = load_settings(source, "prod")
    layout = detect_layout(data, chosen, allowed)
    discovery = discover(data, layout, known)
    files = {
        "universe.yaml": universe_yaml(discovery.calendars, discovery.symbols, discovery.pairs, discovery.left_out),
        "cost_table.yaml": cost_table_yaml(discovery.costs, discovery.guessed),
        "sources.yaml": sources_yaml(discovery.layout, discovery.doubts),
    }
    write_tree(source, out, files, layout.timeframe, force=force)
    return TaskResult(
        outputs={
            "config": str(out),
            "timeframe": layout.timeframe,
            "symbols": list(discovery.symbols),
            "pairs": [pair.id for pair, _ in discovery.pairs],
            "left_out": discovery.left_out,
        },
        metrics={
            "n_symbols": float(len(discovery.symbols)),
            "n_pairs": float(len(discovery.pairs)),
        },
    )
