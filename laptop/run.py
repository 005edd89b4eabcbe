"""`make run`: check the configuration, start the stack, follow the chain, say how it ended."""

from __future__ import annotations

import datetime
import functools
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console

from core.config.loader import load_settings
from core.config.settings import Settings
from core.errors import CoreError, InputError
from laptop.chain import Chain, ChainState
from laptop.display import make_display, state_words, took
from laptop.environment import AIRFLOW_USER, REPOSITORY, SERVICE_ENVIRONMENT, task_environment
from laptop.flows import FIRST_FLOW
from laptop.stack import Stack, run_command, tail
from laptop.state_folder import StateFolder
from laptop.verdict import STOPPED, Ending, nothing_ran, read_ending, stopped

POLL_SECONDS: Final = 0.5
_NOWHERE: Final = "unix:///nowhere"


class StopRequested(BaseException):
    """SIGINT, SIGTERM or SIGHUP reached the launcher."""


@dataclass(frozen=True)
class RunRequest:
    """What a person asked for; paths are absolute."""

    state: StateFolder
    data: Path | None
    config: Path | None
    once: bool


def run(request: RunRequest, console: Console) -> int:
    """Do it all. Returns the exit code: 0 for deployed, rejected and blocked; 130 when stopped before the verdict."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _request_stop)
    try:
        return _run(request, console)
    except StopRequested:
        console.print("Stopped.")
        _close(stopped())
        return STOPPED
    except CoreError as error:
        console.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        _close(nothing_ran(error))
        return error.exit_code


def _run(request: RunRequest, console: Console) -> int:
    if request.data is not None and not request.data.is_dir():
        raise InputError(
            "LAPTOP_DATA_MISSING",
            "the folder of bars does not exist",
            where=str(request.data),
            remedy="name a folder of Parquet or CSV files, one a symbol: make run DATA=<folder>",
        )
    say = functools.partial(console.print, highlight=False, markup=False, soft_wrap=True)
    if request.config is not None or request.data is None:
        load_settings(request.config or REPOSITORY / "configs", SERVICE_ENVIRONMENT)
    request.state.create()
    with request.state.locked(), _remembered(request.state):
        config_root = _configuration(request, say)
        settings = load_settings(config_root, SERVICE_ENVIRONMENT)
        _say_what(request, config_root, settings, say)
        with Stack(request.state, config_root, say) as stack:
            ending = _follow(stack, request, settings, console)
            request.state.keep_verdict(ending.closing.line())
            _show(ending, console)
            if request.once:
                say("Stopping …")
                stack.stop()
            else:
                say(f"Airflow stays up: {stack.address}   user {AIRFLOW_USER}   password {stack.password}")
                say("Ctrl-C or `make stop` ends it.")
            _close(ending)
            if not request.once:
                _stay_up(stack)
    return ending.exit_code


@contextmanager
def _remembered(state: StateFolder) -> Iterator[None]:
    """What the last run ended with is this run's ending, also where it ends before a verdict."""
    state.verdict.unlink(missing_ok=True)
    try:
        yield
    except (StopRequested, CoreError) as error:
        if not state.verdict.exists():
            ending = nothing_ran(error) if isinstance(error, CoreError) else stopped()
            state.keep_verdict(ending.closing.line())
        raise


def _stay_up(stack: Stack) -> None:
    """Until a person ends it, which is no failure of the run. Raises TransientError where Airflow ends by itself."""
    try:
        while True:
            stack.check()
            time.sleep(POLL_SECONDS)
    except StopRequested:
        return


def _configuration(request: RunRequest, say: Callable[[str], None]) -> Path:
    """The configuration to use; bars that come without one get a starter configuration of their own."""
    if request.config is not None:
        return request.config
    if request.data is None:
        return REPOSITORY / "configs"
    state = request.state
    if state.config.exists():
        say(f"Using the starter configuration {state.config}")
        return state.config
    say(f"No CONFIG given: writing a starter configuration for these bars to {state.config} and using it.")
    environment = task_environment(state, REPOSITORY / "configs", "postgresql:///nowhere", _NOWHERE)
    words = ("universe", "init", "--data", str(request.data), "--out", str(state.config))
    run_command(words, REPOSITORY / "configs", environment)
    return state.config


def _say_what(request: RunRequest, config_root: Path, settings: Settings, say: Callable[[str], None]) -> None:
    market = "the simulated market (no DATA given)" if request.data is None else f"bars of {request.data}"
    universe = settings.universe
    say(f"Market: {market}; {len(universe.pairs)} pairs of {len(universe.symbols)} symbols.")
    say(f"Configuration: {config_root}   State: {request.state.root}")


def _follow(stack: Stack, request: RunRequest, settings: Settings, console: Console) -> Ending:
    trace_id = f"run-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    with stack.wait_for_airflow() as api:
        up = f"Airflow is up after {stack.age():.0f} s: {stack.address}   chain {trace_id}"
        console.print(up, highlight=False, soft_wrap=True)
        conf = {"trace_id": trace_id, "data": str(request.data) if request.data else None, "reason": "make run"}
        api.trigger(FIRST_FLOW, trace_id, conf)
        chain = Chain(api, stack.environment["REDIS_URL"], trace_id)
        with make_display(console) as display:
            while (state := chain.look(datetime.datetime.now(datetime.UTC))).outcome == "running":
                display.show(state)
                stack.check()
                time.sleep(POLL_SECONDS)
            display.show(state)
        runs = request.state.archive / settings.ml_core_storage.runs_root
        return read_ending(chain, state, runs, _log_tail(request.state, chain, state))


def _log_tail(state: StateFolder, chain: Chain, ended: ChainState) -> str:
    step = ended.ending_step()
    if step is None:
        return ""
    folder = state.airflow / "logs" / f"dag_id={step.flow}" / f"run_id={chain.trace_id}" / f"task_id={step.task}"
    log = folder / f"attempt={max(step.attempt, 1)}.log"
    return f"{state_words(step)} after {took(step)}; log: {log}\n{tail(log)}"


def _show(ending: Ending, console: Console) -> None:
    closing = ending.closing
    style = {"deployed": "bold green", "rejected": "bold yellow", "blocked": "bold yellow", "failed": "bold red"}
    console.print(f"Verdict: {closing.status}", style=style[closing.status], highlight=False)
    for reason in closing.reasons:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    if ending.verdict is not None:
        for name, value in _numbers(ending.verdict):
            console.print(f"  {name:18} {value}", highlight=False, markup=False)
    if ending.signal is not None and ending.signal["signal"] is not None:
        console.print("First signal:", highlight=False)
        console.print_json(data=ending.signal["signal"])
    elif ending.signal is not None:
        console.print(f"No signal yet: {ending.signal['reason']}", highlight=False, markup=False, soft_wrap=True)
    if closing.run_dir:
        console.print(f"Run: {closing.run_dir}", highlight=False, soft_wrap=True)


def _numbers(verdict: dict[str, object]) -> list[tuple[str, str]]:
    """The verdict's own numbers, each beside the limit it was held against where there is one."""
    limits = verdict.get("limits")
    held = limits if isinstance(limits, dict) else {}
    shown = []
    for name, value in verdict.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        limit = next((f"   ({key} {bound})" for key, bound in held.items() if key.startswith(name)), "")
        shown.append((name, (f"{value:.4f}" if isinstance(value, float) else f"{value:,}") + limit))
    return shown


def _close(ending: Ending) -> None:
    sys.stdout.write(ending.closing.line() + "\n")
    sys.stdout.flush()


def _request_stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # stopping takes seconds and is not interrupted
    raise StopRequested
