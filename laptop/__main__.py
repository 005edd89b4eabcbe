"""`python -m laptop run|status|stop|clean`: one machine's whole stack. `make help` lists the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from core.errors import CoreError
from laptop.environment import REPOSITORY
from laptop.leftovers import find_processes
from laptop.run import RunRequest
from laptop.run import run as run_chain
from laptop.stack import stop_stack
from laptop.state_folder import StateFolder

STOP_SECONDS: Final = 60.0
CACHES: Final = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache")

StateOption = Annotated[Path, typer.Option("--state", help="Folder every file is written to.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    state: StateOption,
    data: Annotated[Path | None, typer.Option(help="Bars of your own: Parquet or CSV, one file a symbol.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration tree: base/ and envs/.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the verdict.")] = False,
) -> None:
    """Start the stack, run the chain and follow it to its verdict.

    Exit codes: 0 deployed, rejected or blocked; 130 stopped before the verdict; else the failing task's own code.

    Example: python -m laptop run --state .state --once
    """
    bars = data.expanduser().resolve() if data else None
    tree = config.expanduser().resolve() if config else None
    request = RunRequest(state=StateFolder.of_market(state, bars, tree), data=bars, config=tree, once=once)
    raise typer.Exit(run_chain(request, Console()))


@app.command()
def status(state: StateOption) -> None:
    """Say what runs, where, and how the last run ended.

    Example: python -m laptop status --state .state
    """
    console = Console(soft_wrap=True, highlight=False)
    folders = StateFolder.all_below(state)
    if not folders:
        console.print(f"Nothing was run in {state.expanduser().resolve()}")
    for folder in folders:
        _describe(folder, console)


def _describe(folder: StateFolder, console: Console) -> None:
    holder = folder.holder()
    processes = find_processes(folder.root)
    console.print(f"State folder: {folder.root}")
    console.print(f"  Launcher: process {holder}" if holder else "  Launcher: not running")
    console.print(f"  Processes: {len(processes)}")
    if folder.running.exists() and processes:
        for name, value in json.loads(folder.running.read_text(encoding="utf-8")).items():
            console.print(f"    {name}={value}", markup=False)
    if folder.verdict.exists():
        console.print(f"  Last run: {folder.verdict.read_text(encoding='utf-8').strip()}", markup=False)
    else:
        console.print("  Last run: without a verdict")


@app.command()
def stop(state: StateOption) -> None:
    """Stop the launchers and everything they started.

    Example: python -m laptop stop --state .state
    """
    ended = sum(_stop(folder) for folder in StateFolder.all_below(state))
    typer.echo(f"Stopped {ended} process{'es' if ended != 1 else ''}." if ended else "Nothing runs.")


@app.command()
def clean(
    state: StateOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
) -> None:
    """Stop everything, then delete the state folder and the caches of the checks. Says first what it deletes.

    Example: python -m laptop clean --state .state --dry-run
    """
    root = state.expanduser().resolve()
    folders = StateFolder.all_below(state)
    caches = [REPOSITORY / name for name in CACHES]
    caches += [path for path in REPOSITORY.glob("*/**/__pycache__") if ".venv" not in path.parts]
    targets = [path for path in (root, *caches) if path.exists()]
    if root in {Path("/"), Path.home(), REPOSITORY} or root in REPOSITORY.parents:
        raise typer.BadParameter(f"{root} is no state folder")
    if root.exists() and set(root.iterdir()) != {folder.root for folder in folders}:
        raise typer.BadParameter(f"{root} holds more than `make run` wrote: nothing deleted")
    verb = "would delete" if dry_run else "deletes"
    for path in [path for path in targets if path.name != "__pycache__"]:
        typer.echo(f"{verb} {path}")
    typer.echo(f"{verb} {sum(path.name == '__pycache__' for path in targets)} __pycache__ folders")
    if dry_run:
        return
    for folder in folders:
        _stop(folder)
    for path in targets:
        shutil.rmtree(path)
    typer.echo("Kept: .venv (delete it by hand to install again).")


def _stop(folder: StateFolder) -> int:
    """End the launcher in its own good order, then whatever is left; returns how many processes there were."""
    if not folder.root.exists():
        return 0
    ended, holder = 0, folder.holder()
    if holder is not None:
        ended = 1 + len(find_processes(folder.root))
        os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while folder.holder() == holder and time.monotonic() < deadline:
            time.sleep(0.1)
    return ended + stop_stack(folder)


if __name__ == "__main__":
    try:
        app(prog_name="python -m laptop")
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
