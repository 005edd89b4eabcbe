"""All markets of a plan, one a core, to a table of verdicts and error rates."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.config.loader import load_settings
from core.stores.database import upgrade
from core.stores.theta_trials import upgrade_trials
from gatecheck.config_tree import ENVIRONMENT, write_tree
from gatecheck.crew import Crew
from gatecheck.plan import Market, Plan
from gatecheck.results import Result, ResultStore, result_key
from gatecheck.worker import Interruption, Job
from laptop.servers import EmbeddedPostgres
from laptop.state_folder import StateFolder

POLL_SECONDS: Final = 0.5
_TEMPLATE: Final = "migrated"


@dataclass
class GateCheck:
    """A run over `markets`, `workers` at a time; `say` shows a line to the person who waits.

    `finished` maps the names of markets to their results, filled as they come.
    """

    plan: Plan
    markets: Sequence[Market]
    state: StateFolder
    workers: int
    say: Callable[[str], None]
    finished: dict[str, Result] = field(default_factory=dict)
    _stages: dict[str, str] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Bring every market to a result; finished ones of an earlier run with this code are taken over.

        A market that loses its process, or meets a server or disk that does not answer, is run once more.

        Raises:
            InputError: the plan makes no usable configuration.
            TransientError: the database does not start or has ended, or a market was interrupted twice.
        """
        store = ResultStore(self.state.root / "results")
        jobs = [self._job(market) for market in self.markets]
        for job in jobs:
            if (known := store.finished(job.market, job.key)) is not None:
                self.finished[job.market.name] = known
        open_jobs = [job for job in jobs if job.market.name not in self.finished]
        self.say(
            f"{len(jobs)} markets, {len(self.finished)} of them finished by an earlier run; {len(open_jobs)} to run,"
            f" {self.workers} at a time. State: {self.state.root}"
        )
        if open_jobs:
            with EmbeddedPostgres(self.state.postgres, durable=False) as server:
                template = server.create_database(_TEMPLATE)
                upgrade(template)
                upgrade_trials(template)
                self._work(open_jobs, server, store)

    def results(self) -> list[Result]:
        """Those there are, in the plan's order."""
        return [self.finished[market.name] for market in self.markets if market.name in self.finished]

    def _job(self, market: Market) -> Job:
        folder = self.state.root / "markets" / market.name
        config_root = write_tree(self.plan, market, folder)
        return Job(market, folder, config_root, "", result_key(load_settings(config_root, ENVIRONMENT)))

    def _work(self, jobs: Sequence[Job], server: EmbeddedPostgres, store: ResultStore) -> None:
        started, done = time.monotonic(), 0
        waiting, interrupted = list(jobs), set[str]()
        with Crew(self.workers) as crew:
            while waiting or crew.running:
                server.check()
                while waiting and crew.has_room:
                    job = _with_database(waiting.pop(0), server)
                    self._since[job.market.name] = time.monotonic()
                    crew.begin(job)
                ended = crew.ended(POLL_SECONDS)
                for job in [*crew.running, *(each.job for each in ended)]:
                    self._say_stage(job)
                for each in ended:
                    if isinstance(each.outcome, Interruption):
                        self._interrupt(each.job, each.outcome, server, interrupted)
                        waiting.insert(0, each.job)
                        continue
                    self._keep(each.job, each.outcome, server, store)
                    done += 1
                    self._say_end(each.outcome, started, done, len(jobs))

    def _interrupt(self, job: Job, cause: Interruption, server: EmbeddedPostgres, earlier: set[str]) -> None:
        """Wait until the market can be run again. Raises TransientError where it was interrupted before."""
        error = cause.error()
        server.check()
        if job.market.name in earlier:
            raise error
        earlier.add(job.market.name)
        self._stages.pop(job.market.name, None)
        self.say(f"{job.market.name:28} INTERRUPTED, is run once more: {error}")
        server.wait_ready()

    def _keep(self, job: Job, result: Result, server: EmbeddedPostgres, store: ResultStore) -> None:
        store.keep(result)
        self.finished[result.name] = result
        server.drop_database(_database(job.market))
        if result.outcome != "failed":
            shutil.rmtree(job.archive, ignore_errors=True)

    def _say_stage(self, job: Job) -> None:
        name = job.market.name
        stage = job.stage.read_text(encoding="utf-8") if job.stage.exists() else ""
        if stage and self._stages.get(name) != stage:
            self._stages[name] = stage
            place, elapsed = self.markets.index(job.market) + 1, time.monotonic() - self._since[name]
            self.say(f"{name:28} {place:3d} of {len(self.markets)}  {stage:9} {elapsed:6.0f} s")

    def _say_end(self, result: Result, started: float, done: int, most: int) -> None:
        now = time.monotonic()
        elapsed, took = now - started, now - self._since[result.name]
        left = elapsed / done * (most - done)
        sharpe = f"Sharpe {result.sharpe:.2f}" if result.sharpe is not None else result.reasons[0]
        self.say(
            f"{result.name:28} {result.outcome.upper()} after {took:.0f} s: {sharpe}"
            f"   [{done} of {most}, {elapsed / 60:.1f} min gone, about {left / 60:.1f} min left]"
        )


def _database(market: Market) -> str:
    return f"market_{market.name}"


def _with_database(job: Job, server: EmbeddedPostgres) -> Job:
    """The job with an empty migrated database, in place of what an unfinished run left."""
    server.drop_database(_database(job.market))
    url = server.create_database(_database(job.market), template=_TEMPLATE)
    job.stage.unlink(missing_ok=True)
    return Job(job.market, job.folder, job.config_root, url, job.key)
