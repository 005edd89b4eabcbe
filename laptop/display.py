"""Shows a chain in the terminal: one live table on a tty, one line for each change elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from laptop.chain import ChainState, Step

PLAIN_PROGRESS_SECONDS: Final = 5.0
_STYLES: Final = {
    "running": "cyan",
    "success": "green",
    "failed": "bold red",
    "blocked": "bold yellow",
    "up_for_retry": "yellow",
}
_BAR_CELLS: Final = 20


class Display(Protocol):
    """Told of the chain's state again and again while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, state: ChainState) -> None:
        """Show `state` in place of what was shown before."""


def make_display(console: Console) -> Display:
    """The display that suits the console."""
    return LiveTable(console) if console.is_terminal else PlainLines(console)


class LiveTable:
    """A table that is drawn over itself."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, state: ChainState) -> None:
        self._live.update(table(state))


class PlainLines:
    """A line when a task starts, ends or is tried again, and one every few seconds while it reports progress."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[tuple[str, str], tuple[str, int]] = {}
        self._progress_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, state: ChainState) -> None:
        for step in state.steps:
            key, now = (step.flow, step.task), (step.state, step.attempt)
            if step.state not in {"waiting", "upstream_failed", "skipped"} and self._shown.get(key) != now:
                self._shown[key] = now
                self._line(step)
            elif self._due(step):
                self._line(step)

    def _due(self, step: Step) -> bool:
        if step.progress is None or step.seconds is None:
            return False
        due = step.seconds - self._progress_at.get(step.task, 0.0) >= PLAIN_PROGRESS_SECONDS
        if due:
            self._progress_at[step.task] = step.seconds
        return due

    def _line(self, step: Step) -> None:
        words = f"{step.flow:20} {step.task:16} {state_words(step):12} {took(step):>8} {far(step)}"
        self._console.print(words.rstrip(), highlight=False, markup=False, soft_wrap=True)


def table(state: ChainState) -> Table:
    """All steps as a table."""
    made = Table("flow", "task", "state", "how far", "took", box=None, pad_edge=False)
    flow = ""
    for step in state.steps:
        style = _STYLES.get(step.state, "dim")
        made.add_row(
            step.flow if step.flow != flow else "", step.task, f"[{style}]{state_words(step)}[/]", far(step), took(step)
        )
        flow = step.flow
    return made


def state_words(step: Step) -> str:
    """The state in words a person uses."""
    words = {
        "success": "done",
        "upstream_failed": "not run",
        "skipped": "not run",
        "up_for_retry": "tries again",
        "restarting": "tries again",
    }
    shown = words.get(step.state, step.state)
    return f"{shown} (try {step.attempt})" if step.attempt > 1 and step.state == "running" else shown


def far(step: Step) -> str:
    """How far a task says it is, as a bar and a count."""
    if step.progress is None or step.progress.total <= 0:
        return ""
    cells = _BAR_CELLS * min(step.progress.done, step.progress.total) // step.progress.total
    bar = "█" * cells + "░" * (_BAR_CELLS - cells)
    return f"{bar} {step.progress.done}/{step.progress.total} {step.progress.unit}"


def took(step: Step) -> str:
    """How long a task runs or ran, e.g. ``4.2 s`` or ``1:05 min``."""
    if step.seconds is None:
        return ""
    if step.seconds < 60:
        return f"{step.seconds:.1f} s"
    minutes, seconds = divmod(int(step.seconds), 60)
    return f"{minutes}:{seconds:02d} min"
