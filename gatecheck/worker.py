"""Runs one market in a process of its own, to a result whatever happens."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from core.errors import CoreError, TransientError
from core.stores.files import disk_errors
from gatecheck.chain import Chain, Ended
from gatecheck.plan import Market
from gatecheck.results import JUDGED, Outcome, Result

STAGE_FILE = "stage"


@dataclass(frozen=True)
class Job:
    """A market, its folder with the configuration tree in it, its database, and the key of its result."""

    market: Market
    folder: Path
    config_root: Path
    postgres_url: str
    key: str

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def stage(self) -> Path:
        """Holds the name of the task that runs."""
        return self.folder / STAGE_FILE

    def begin(self, stage: str) -> None:
        """Leave word of the task that runs."""
        self.stage.write_text(stage, encoding="utf-8")


@dataclass(frozen=True)
class Interruption:
    """A TransientError on its way out of a process: the market has no result, and may have one at the next try."""

    code: str
    message: str
    where: str
    remedy: str

    def error(self) -> TransientError:
        return TransientError(self.code, self.message, where=self.where, remedy=self.remedy)


def run_market(job: Job) -> Result | Interruption:
    """Run the chain; its log goes to the market's folder. Bars, features and models are deleted at the end."""
    try:
        with disk_errors(job.folder):
            return _run(job)
    except TransientError as error:
        return Interruption(error.code, error.message, error.where, error.remedy)
    except CoreError as error:
        return _failed(job, str(error))
    except Exception:  # noqa: BLE001 - a defect of one market's chain is that market's result
        text = traceback.format_exc()
        sys.stderr.write(text)
        return _failed(job, f"{text.strip().splitlines()[-1]}; see {job.log}")


def _run(job: Job) -> Result:
    shutil.rmtree(job.archive, ignore_errors=True)
    job.archive.mkdir(parents=True)
    _log_to(job.log)
    ended = Chain(job.config_root, job.archive, job.postgres_url, job.market.name, job.begin).run()
    shutil.rmtree(job.archive)
    return _result(job, ended.outcome, ended.reasons, ended)


def _failed(job: Job, reason: str) -> Result:
    return _result(job, "failed", (reason,), None)


def _result(job: Job, outcome: Outcome, reasons: tuple[str, ...], ended: Ended | None) -> Result:
    verdict = (ended.verdict if ended else None) or {}
    market = job.market
    return Result(
        key=job.key,
        name=market.name,
        group=market.group,
        kind=market.kind.kind,
        half_life_bars=market.half_life,
        seed=market.seed,
        outcome=outcome,
        reasons=reasons,
        **{name: verdict.get(name) for name in JUDGED},
        seconds=ended.seconds if ended else {},
    )


def _log_to(path: Path) -> None:
    """Standard error of this process, and of those it starts, becomes the market's log."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stderr.flush()
    os.dup2(handle, sys.stderr.fileno())
    os.close(handle)
