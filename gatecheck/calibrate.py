"""`python -m gatecheck.calibrate`: the true net Sharpe of what the chain learns on a market, for one or more spreads.

This is how `spread_sd_bp` of the break-even markets in markets.yaml is found: the value at which the models, at the θ
the chain chose on that very market, earn nothing on histories neither has seen.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from core.config.loader import load_settings
from core.errors import CoreError
from core.stores.database import upgrade
from core.stores.roots import StorageRoots
from core.stores.run_folder import RunFolder
from core.stores.theta_trials import upgrade_trials
from gatecheck.chain import Chain
from gatecheck.config_tree import ENVIRONMENT, write_tree
from gatecheck.plan import SHIPPED, Market, Plan, read_plan
from gatecheck.true_sharpe import EVERY_START, Measured, Strategy, measure
from laptop.servers import EmbeddedPostgres
from laptop.state_folder import StateFolder

UNSEEN_SEEDS: Final = 900_000
"""First seed of the histories; the plan's markets stay far below."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    state: Annotated[Path, typer.Option(help="Folder below which `gate-check-calibration` keeps its files.")],
    spread_sd: Annotated[list[float], typer.Option(help="spread_sd_bp to try; give it again for more.")],
    seeds: Annotated[int, typer.Option(min=1, help="Markets to learn on for each.")] = 4,
    histories: Annotated[int, typer.Option(min=2, help="Histories to measure each of them on.")] = 8,
    plan: Annotated[Path, typer.Option(help="Plan of markets; its first break-even kind is the one varied.")] = SHIPPED,
) -> None:
    """Learn on break-even markets of other spreads, and measure what is learned on histories nothing has seen.

    Example: python -m gatecheck.calibrate --state .state --spread-sd 13 --spread-sd 15
    """
    folder = StateFolder.at(state / "gate-check-calibration")
    folder.create()
    with folder.locked(), EmbeddedPostgres(folder.postgres, durable=False) as server:
        for spread in spread_sd:
            for number in range(seeds):
                _try(read_plan(plan), spread, number, histories, folder, server)


def _try(plan: Plan, spread: float, number: int, histories: int, state: StateFolder, server: EmbeddedPostgres) -> None:
    kind = plan.break_even[0]
    varied = kind.model_copy(update={"pairs": {**kind.pairs, "spread_sd_bp": spread}})
    market = Market(f"spread_{spread:g}_{number}", "break_even", varied, UNSEEN_SEEDS - 1 - number)
    folder = state.root / "markets" / market.name
    config_root = write_tree(plan, market, folder)
    settings = load_settings(config_root, ENVIRONMENT)
    shutil.rmtree(folder / "archive", ignore_errors=True)
    server.drop_database(market.name)
    url = server.create_database(market.name)
    upgrade(url)
    upgrade_trials(url)
    ended = Chain(config_root, folder / "archive", url, market.name, lambda stage: None).run()
    if ended.verdict is None:
        typer.echo(f"{market.name}: {ended.outcome}: {ended.reasons[0]}")
        return
    run = RunFolder(
        StorageRoots.below(folder / "archive", settings.ml_core_storage).runs / ended.verdict["model_version"]
    )
    learned = Strategy.of_run(run, settings, ended.verdict["theta1"], ended.verdict["theta2"])
    unseen = range(UNSEEN_SEEDS, UNSEEN_SEEDS + histories)
    for name, strategy in (
        ("every start", EVERY_START),
        ("the learned models without θ", replace(learned, theta1=0.0, theta2=1.0)),
        (f"the learned models at θ {learned.theta1:.3f} {learned.theta2:.3f}", learned),
    ):
        typer.echo(f"{market.name}: {name}: {_told(measure(settings, strategy, unseen))}")
    shutil.rmtree(folder / "archive")
    server.drop_database(market.name)


def _told(found: Measured) -> str:
    interval = f"{found.sharpe:.2f} ± {found.standard_error:.2f} over {found.histories} histories"
    return f"net Sharpe {interval}, {found.trades_per_year:.0f} trades a year"


if __name__ == "__main__":
    try:
        app(prog_name="python -m gatecheck.calibrate")
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
