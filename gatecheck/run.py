"""All markets of a plan, one a core, to a table of verdicts and error rates."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Final

import psutil

from core.config.loader import load_settings
from core.errors import TransientError
from core.stores.database import upgrade
from core.stores.theta_trials import upgrade_trials
from gatecheck.config_tree import ENVIRONMENT, write_tree
from gatecheck.plan import Market, Plan
from gatecheck.results import Result, ResultStore, result_key
from gatecheck.worker import Job, run_market
from laptop.servers import EmbeddedPostgres
from laptop.state_folder import StateFolder

POLL_SECONDS: Final = 0.5
_TEMPLATE: Final = "migrated"


@dataclass
class GateCheck:
    """A run over `markets`, `workers` at a time; `say` shows a line to the person who waits."""

    plan: Plan
    markets: Sequence[Market]
    state: StateFolder
    workers: int
    say: Callable[[str], None]
    _stages: dict[str, str] = field(default_factory=dict)

    def run(self) -> list[Result]:
        """Results of all markets in the plan's order; finished ones of an earlier run with this code are taken over.

        Raises:
            InputError: the plan makes no usable configuration.
            TransientError: the database does not start, or a process died.
        """
        store = ResultStore(self.state.root / "results")
        jobs = [self._job(market) for market in self.markets]
        results: dict[str, Result] = {}
        for job in jobs:
            if (known := store.finished(job.market, job.key)) is not None:
                results[job.market.name] = known
        open_jobs = [job for job in jobs if job.market.name not in results]
        self.say(
            f"{len(jobs)} markets, {len(results)} of them finished by an earlier run; {len(open_jobs)} to run,"
            f" {self.workers} at a time. State: {self.state.root}"
        )
        if open_jobs:
            with EmbeddedPostgres(self.state.postgres, durable=False) as server:
                template = server.create_database(_TEMPLATE)
                upgrade(template)
                upgrade_trials(template)
                for result in self._work(open_jobs, server, store):
                    results[result.name] = result
        return [results[market.name] for market in self.markets]

    def _job(self, market: Market) -> Job:
        folder = self.state.root / "markets" / market.name
        config_root = write_tree(self.plan, market, folder)
        return Job(market, folder, config_root, "", result_key(load_settings(config_root, ENVIRONMENT)))

    def _work(self, jobs: Sequence[Job], server: EmbeddedPostgres, store: ResultStore) -> list[Result]:
        started, done = time.monotonic(), list[Result]()
        waiting, running = list(jobs), dict[Future[Result], tuple[Job, float]]()
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.workers, context) as executor:
            try:
                while waiting or running:
                    while waiting and len(running) < self.workers:
                        job = _with_database(waiting.pop(0), server)
                        running[executor.submit(run_market, job)] = job, time.monotonic()
                    ended, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                    for job, since in running.values():
                        self._say_stage(job, time.monotonic() - since)
                    for future in ended:
                        job, since = running.pop(future)
                        result = _result_of(future, job)
                        store.keep(result)
                        server.drop_database(_database(job.market))
                        if result.outcome != "failed":
                            shutil.rmtree(job.archive, ignore_errors=True)
                        done.append(result)
                        self._say_end(result, time.monotonic() - since, started, len(done), len(jobs))
            except BaseException:
                _end_workers()  # leaving the pool waits for its markets, which takes minutes
                raise
        return done

    def _say_stage(self, job: Job, elapsed: float) -> None:
        stage = job.stage.read_text(encoding="utf-8") if job.stage.exists() else ""
        if stage and self._stages.get(job.market.name) != stage:
            self._stages[job.market.name] = stage
            place = self.markets.index(job.market) + 1
            self.say(f"{job.market.name:28} {place:3d} of {len(self.markets)}  {stage:9} {elapsed:6.0f} s")

    def _say_end(self, result: Result, took: float, started: float, done: int, most: int) -> None:
        elapsed = time.monotonic() - started
        left = elapsed / done * (most - done)
        sharpe = f"Sharpe {result.sharpe:.2f}" if result.sharpe is not None else result.reasons[0]
        self.say(
            f"{result.name:28} {result.outcome.upper()} after {took:.0f} s: {sharpe}"
            f"   [{done} of {most}, {elapsed / 60:.1f} min gone, about {left / 60:.1f} min left]"
        )


def _end_workers() -> None:
    """Kill the processes that run markets, and those they train in; they hold nothing that is not made again."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "--multiprocessing-fork" in child.cmdline():
                child.kill()


def _database(market: Market) -> str:
    return f"market_{market.name}"


def _with_database(job: Job, server: EmbeddedPostgres) -> Job:
    """The job with an empty migrated database, in place of what an unfinished run left."""
    server.drop_database(_database(job.market))
    url = server.create_database(_database(job.market), template=_TEMPLATE)
    job.stage.unlink(missing_ok=True)
    return Job(job.market, job.folder, job.config_root, url, job.key)


def _result_of(future: Future[Result], job: Job) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise TransientError(
            "GATECHECK_WORKER_LOST",
            "a process died before its market was finished",
            where=str(job.log),
            remedy="see whether memory ran out, then run it again: finished markets are not repeated",
        ) from error
