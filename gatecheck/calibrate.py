"""`python -m gatecheck.calibrate`: the true net Sharpe of what the chain learns on a market, for one or more spreads.

This is how `spread_sd_bp` of the break-even markets in markets.yaml is found: the value at which the models, at the θ
the chain chose on that very market, earn nothing on histories neither has seen.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from core.config.loader import load_settings
from core.config.settings import Settings
from core.errors import CoreError, InputError, TransientError
from core.stores.database import upgrade
from core.stores.roots import StorageRoots
from core.stores.run_folder import RunFolder
from core.stores.theta_trials import upgrade_trials
from gatecheck.chain import Chain
from gatecheck.config_tree import ENVIRONMENT, write_tree
from gatecheck.plan import SHIPPED, Market, Plan, read_plan
from gatecheck.stop import STOPPED, StopRequested, raise_on_signals
from gatecheck.true_sharpe import EVERY_START, Measured, Strategy, measure
from laptop.environment import MARKER
from laptop.servers import EmbeddedPostgres
from laptop.state_folder import StateFolder

UNSEEN_SEEDS: Final = 900_000
"""First seed of the histories; the plan's markets stay far below."""

_TEMPLATE: Final = "migrated"
_MARKET_DATABASE: Final = "market"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    state: Annotated[Path, typer.Option(help="Folder below which `gate-check-calibration` keeps its files.")],
    spread_sd: Annotated[list[float], typer.Option(min=0.0, help="spread_sd_bp to try; give it again for more.")],
    seeds: Annotated[int, typer.Option(min=1, help="Markets to learn on for each.")] = 4,
    histories: Annotated[int, typer.Option(min=2, help="Histories to measure each of them on.")] = 8,
    plan: Annotated[Path, typer.Option(help="Plan of markets; its first break-even kind is the one varied.")] = SHIPPED,
) -> None:
    """Learn on break-even markets of other spreads, and measure what is learned on histories nothing has seen.

    A market takes one to three minutes. The last line is one JSON object: by spread the mean net Sharpe of what was
    learned, and the spread at which it crosses 0, null where the spreads tried do not enclose it.

    Exit codes: 0 measured, 1 no market of a spread came to a verdict, 20 bad plan, 30 a server or disk did not answer,
    130 stopped.

    Example: python -m gatecheck.calibrate --state .state --spread-sd 11 --spread-sd 12
    """
    folder = StateFolder.at(state / "gate-check-calibration")
    raise_on_signals()
    os.environ[MARKER] = str(folder.root)
    found: dict[float, list[Measured]] = {spread: [] for spread in sorted(set(spread_sd))}
    error = None
    try:
        calibration = _Calibration(read_plan(plan), folder, seeds * len(found), histories)
        folder.create()
        with folder.locked(), EmbeddedPostgres(folder.postgres, durable=False) as server:
            calibration.prepare(server)
            for number in range(seeds):
                for spread in found:
                    found[spread] += calibration.measure(spread, number, server)
        code = 0 if all(found.values()) else 1
    except StopRequested:
        error, code = "stopped", STOPPED
        typer.echo("Stopped. It begins anew when it is started again.")
    except CoreError as raised:
        error, code = str(raised), raised.exit_code
        typer.echo(error)
    content = closing(found)
    if error is not None:
        content["error"] = error
    typer.echo(json.dumps(content, allow_nan=False))
    raise typer.Exit(code)


def closing(found: Mapping[float, Sequence[Measured]]) -> dict[str, Any]:
    """The last line. Between two spreads whose means differ in sign, the crossing is that of the straight line."""
    means = {
        spread: sum(each.sharpe for each in measured) / len(measured) for spread, measured in found.items() if measured
    }
    crossing = None
    for (low, below), (high, above) in pairwise(sorted(means.items())):
        if below < 0.0 <= above:
            crossing = round(low + (high - low) * -below / (above - below), 2)
            break
    return {
        "sharpe": {f"{spread:g}": round(mean, 3) for spread, mean in means.items()},
        "markets": {f"{spread:g}": len(measured) for spread, measured in found.items()},
        "break_even_spread_sd_bp": crossing,
    }


@dataclass
class _Calibration:
    """Markets of one plan in one state folder, `markets` in all; says what it does on standard output."""

    plan: Plan
    state: StateFolder
    markets: int
    histories: int
    _begun: int = 0
    _started: float = 0.0

    def prepare(self, server: EmbeddedPostgres) -> None:
        if not self.plan.break_even:
            raise InputError(
                "GATECHECK_PLAN_INVALID",
                "the plan has no break-even kind to vary",
                where="break_even",
                remedy=f"write one as {SHIPPED.name} does",
            )
        self._started = time.monotonic()
        typer.echo(f"{self.markets} markets to learn on, {self.histories} histories each. State: {self.state.root}")
        template = server.create_database(_TEMPLATE)
        upgrade(template)
        upgrade_trials(template)

    def measure(self, spread: float, number: int, server: EmbeddedPostgres) -> list[Measured]:
        """What the chain learns on one market, on histories nothing has seen; empty where it learns nothing."""
        kind = self.plan.break_even[0]
        varied = kind.model_copy(update={"pairs": {**kind.pairs, "spread_sd_bp": spread}})
        market = Market(f"spread_{spread:g}_{number}", "break_even", varied, UNSEEN_SEEDS - 1 - number)
        folder = self.state.root / "markets" / market.name
        archive = folder / "archive"
        config_root = write_tree(self.plan, market, folder)
        settings = load_settings(config_root, ENVIRONMENT)
        shutil.rmtree(archive, ignore_errors=True)
        server.drop_database(_MARKET_DATABASE)
        url = server.create_database(_MARKET_DATABASE, template=_TEMPLATE)
        self._begun += 1
        chain = Chain(config_root, archive, url, market.name, lambda stage: self._say(market, stage))
        with _errors_into(folder / "log.jsonl"):
            try:
                ended = chain.run()
            except TransientError:
                server.check()
                raise
        learned = _learned(ended.verdict, archive, settings) if ended.verdict is not None else None
        measured: list[Measured] = []
        if learned is None:
            self._say(market, f"{ended.outcome}: {ended.reasons[0]}")
        else:
            strategies = {
                "every start": EVERY_START,
                "the learned models without θ": replace(learned, theta1=0.0, theta2=1.0),
                f"the learned models at θ {learned.theta1:.3f} {learned.theta2:.3f}": learned,
            }
            unseen = range(UNSEEN_SEEDS, UNSEEN_SEEDS + self.histories)
            told = measure(
                settings,
                list(strategies.values()),
                unseen,
                lambda done, most: self._say(market, f"history {done} of {most}"),
            )
            for name, each in zip(strategies, told, strict=True):
                self._say(market, f"{name}: {_told(each)}")
            measured = told[-1:]
        shutil.rmtree(archive)
        elapsed = time.monotonic() - self._started
        left = elapsed / self._begun * (self.markets - self._begun)
        self._say(market, f"done, {elapsed / 60:.1f} min gone, about {left / 60:.1f} min left")
        return measured

    def _say(self, market: Market, what: str) -> None:
        typer.echo(f"{market.name:16} {self._begun:3d} of {self.markets}  {what}")


def _learned(verdict: dict[str, Any], archive: Path, settings: Settings) -> Strategy:
    run = RunFolder(StorageRoots.below(archive, settings.ml_core_storage).runs / verdict["model_version"])
    return Strategy.of_run(run, settings, verdict["theta1"], verdict["theta2"])


def _told(found: Measured) -> str:
    interval = f"{found.sharpe:.2f} ± {found.standard_error:.2f} over {found.histories} histories"
    return f"net Sharpe {interval}, {found.trades_per_year:.0f} trades a year"


@contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Standard error is the file within the block: the log of a chain's tasks."""
    kept = os.dup(sys.stderr.fileno())
    with path.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, sys.stderr.fileno())
        os.close(kept)


if __name__ == "__main__":
    app(prog_name="python -m gatecheck.calibrate")
