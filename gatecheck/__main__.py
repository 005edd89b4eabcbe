"""`python -m gatecheck --state FOLDER [--full]`: how often the gate approves markets with and without an edge."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from core.errors import CoreError
from gatecheck.plan import SHIPPED, Group, markets_of, read_plan
from gatecheck.rates import closing, mean_sharpe, missed_targets, of_group, power_curve, rate_of
from gatecheck.results import Result, ResultStore
from gatecheck.run import GateCheck
from gatecheck.stop import STOPPED, StopRequested, raise_on_signals
from laptop.environment import MARKER
from laptop.state_folder import StateFolder

_WIDTH: Final = 140
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GROUPS: Final[tuple[Group, ...]] = ("no_edge", "edge", "break_even")
_TITLES: Final[dict[Group, str]] = {
    "no_edge": "no edge",
    "edge": "an edge",
    "break_even": "break-even",
}

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    state: Annotated[Path, typer.Option(help="Folder below which `gate-check` keeps its files.")],
    plan: Annotated[Path, typer.Option(help="Plan of markets.")] = SHIPPED,
    full: Annotated[bool, typer.Option("--full", help="Also run the break-even markets.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Markets at a time; else one a core.")] = None,
) -> None:
    """Run the whole chain over simulated markets whose truth is known, and count what the gate approves.

    Exit codes: 0 within the plan's targets, 1 beyond them or a chain failed, 20 bad plan, 30 a server or disk did not
    answer or a process died twice of one market, 130 stopped. A run that ended with 30 or 130 goes on where it was when
    it is started again.

    Example: python -m gatecheck --state .state --full
    """
    folder = StateFolder.at(state / "gate-check")
    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    raise_on_signals()
    os.environ |= {MARKER: str(folder.root), **dict.fromkeys(_ONE_THREAD, "1")}
    check, error = None, None
    try:
        chosen = read_plan(plan)
        markets = markets_of(chosen, _GROUPS if full else _GROUPS[:2])
        at_a_time = workers or len(os.sched_getaffinity(0))
        check = GateCheck(chosen, markets, folder, at_a_time, lambda line: console.print(line, markup=False))
        code = _run(check, console)
    except StopRequested:
        error, code = "stopped", STOPPED
        console.print("Stopped. Started again, it goes on with the markets that are not finished.")
    except CoreError as raised:
        error, code = str(raised), raised.exit_code
        console.print(error, style="red", markup=False)
    _close(check, error)
    raise typer.Exit(code)


def _run(check: GateCheck, console: Console) -> int:
    check.state.create()
    with check.state.locked():
        started = time.monotonic()
        check.run()
        results = check.results()
        tables = ResultStore(check.state.root / "results").write_tables(results)
    _show(results, console)
    console.print(f"{(time.monotonic() - started) / 60:.1f} min; tables: {' '.join(map(str, tables))}", markup=False)
    failed = [result for result in results if result.outcome == "failed"]
    missed = missed_targets(results, check.plan.targets)
    for result in failed:
        console.print(f"FAILED {result.name}: {result.reasons[0]}", style="red", markup=False)
    for line in missed:
        console.print(f"MISSED {line}", style="red", markup=False)
    return 1 if failed or missed else 0


def _close(check: GateCheck | None, error: str | None) -> None:
    """The last line, whatever the end: the rates of the markets there are results of."""
    results = check.results() if check else []
    content = closing(results) | {"unfinished": len(check.markets) - len(results) if check else 0}
    if error is not None:
        content["error"] = error
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")
    sys.stdout.flush()


def _show(results: Sequence[Result], console: Console) -> None:
    columns = ("market", "outcome", "Sharpe", "PSR", "trades a year", "drawdown", "θ", "seconds")
    table = Table(*columns, box=None, header_style="bold")
    for result in sorted(results, key=lambda each: (each.group, each.name)):
        theta = f"{result.theta1:.3f} {result.theta2:.3f}" if result.theta1 is not None else "–"
        numbers = (
            _number(result.sharpe, ".2f"),
            _number(result.psr, ".3f"),
            _number(result.trades_per_year, ".0f"),
            _number(result.max_drawdown, ".1%"),
        )
        table.add_row(result.name, result.outcome, *numbers, theta, f"{sum(result.seconds.values()):.0f}")
    console.print(table)
    for group, title in _TITLES.items():
        members = of_group(results, group)
        if not members:
            continue
        mean = mean_sharpe(members)
        beside = f"; mean Sharpe {mean[0]:.2f} ± {mean[1]:.2f}" if mean else ""
        console.print(f"Markets with {title}: {rate_of(members)}{beside}", markup=False)
    for half_life, rate in power_curve(results).items():
        bar = "█" * round(20 * rate.share)
        console.print(f"  half-life {half_life:3g} bars  {bar:20}  {rate}", markup=False)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    app(prog_name="python -m gatecheck")
