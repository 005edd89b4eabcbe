"""The θ part of the θ task: search, interval of the gain, stabiliser (SPEC TH-1 … TH-3)."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from core.stores.run_folder import RunIdentity
from core.stores.theta_trials import open_trials
from core.thresholds.gain import GainInterval, gain_interval
from core.thresholds.identity import search_identity
from core.thresholds.objective import SearchData, count_starts
from core.thresholds.search import SearchOutcome, search
from core.thresholds.stabiliser import ChosenTheta, choose_theta
from core.thresholds.trial_store import MemoryTrials
from tasks.context import TaskContext
from tasks.replay_record import previous_theta


@dataclass(frozen=True)
class FoundTheta:
    """All trials, the gain of the best with its interval (None without a θ within limits), and what is put in force."""

    outcome: SearchOutcome
    interval: GainInterval | None
    chosen: ChosenTheta


def search_theta(context: TaskContext, data: SearchData, identity: RunIdentity) -> SearchOutcome:
    """Search θ on the window of `data`.

    The trials are kept in PostgreSQL as the study {model_version}-{what the search is made of}: a search that was
    killed goes on where it was, one repeated reads what it found, and tasks of one run share it. A context without a
    database, as a rebuild has, keeps them in memory: nothing found before is read.
    """
    core = context.settings.core_policy
    of = (data, core.theta_objective, core.theta_search_range, core.theta_search)
    study_name = f"{identity.model_version}-{search_identity(*of, identity.seed)[:16]}"
    url = context.variables.postgres_url
    with open_trials(url, study_name) if url else nullcontext(MemoryTrials()) as store:
        return search(
            *of,
            previous=previous_theta(context.settings, identity.previous),
            seed=identity.seed,
            on_trial=lambda done, most: context.progress.advance(done, most, "trials"),
            store=store,
        )


def find_theta(context: TaskContext, data: SearchData, identity: RunIdentity) -> FoundTheta:
    """Search θ on the window of `data` and decide which one to put in force."""
    core = context.settings.core_policy
    previous = previous_theta(context.settings, identity.previous)
    outcome = search_theta(context, data, identity)
    best = outcome.best
    interval = None
    if best is not None:
        interval = gain_interval(outcome, core.theta_objective, core.theta_search, data.window.years, identity.seed)
    chosen = choose_theta(
        previous,
        (best.theta1, best.theta2) if best is not None else None,
        interval,
        deployed=identity.previous is not None,
        n_starts=count_starts(data),
        policy=core.theta_search,
        ranges=core.theta_search_range,
    )
    context.log.info("theta_chosen", **asdict(chosen))
    return FoundTheta(outcome, interval, chosen)


def theta_content(identity: RunIdentity, data: SearchData, found: FoundTheta) -> dict[str, Any]:
    """The content of theta.json."""
    outcome, interval = found.outcome, found.interval
    best, previous = outcome.best, outcome.previous
    return {
        "model_version": identity.model_version,
        **asdict(found.chosen),
        "previous": {"theta1": previous.theta1, "theta2": previous.theta2, "value": previous.value},
        "found": {"theta1": best.theta1, "theta2": best.theta2, "value": best.value} if best else None,
        "gain": asdict(interval) if interval else None,
        "n_starts": count_starts(data),
        "n_trials": len(outcome.trials),
        "candidates": [
            {
                name: getattr(outcome.trials[index].evaluation, name)
                for name in ("theta1", "theta2", "value", "annual_return", "max_drawdown", "trades_per_year", "sharpe")
            }
            for index in outcome.candidates
        ],
    }
