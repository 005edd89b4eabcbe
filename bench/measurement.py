"""What a benchmark reports, and how it takes the time of works side by side."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rounds:
    """One number of each round."""

    numbers: tuple[float, ...]

    @property
    def median(self) -> float:
        """What is reported."""
        return statistics.median(self.numbers)

    @property
    def lowest(self) -> float:
        """The least of the rounds."""
        return min(self.numbers)

    @property
    def highest(self) -> float:
        """The most of the rounds."""
        return max(self.numbers)


@dataclass(frozen=True)
class Measurement:
    """A value in a unit, smaller being better, and how many times it each peer took in the same round."""

    name: str
    unit: str
    value: Rounds
    against: Mapping[str, Rounds] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What is timed. One `run` does `units` of what is reported: 50 evaluations at a go, or one pair of thirty."""

    run: Callable[[], object]
    units: float = 1.0


def compare(name: str, unit: str, ours: Sequence[float], peers: Mapping[str, Sequence[float]]) -> Measurement:
    """Ours round by round, and each peer's number divided by ours of the same round.

    What slows a round down for a while slows both sides of its ratio.

    Raises:
        ValueError: a peer has another number of rounds.
    """
    against = {
        peer: Rounds(tuple(other / own for other, own in zip(theirs, ours, strict=True)))
        for peer, theirs in peers.items()
    }
    return Measurement(name, unit, Rounds(tuple(ours)), against)


def side_by_side(
    name: str, unit: str, ours: Work, peers: Mapping[str, Work], *, rounds: int, scale: float
) -> Measurement:
    """Time ours and every peer in turn, `rounds` times over, after each has run once untimed.

    Taken is processor time, over all threads of this process: what one core does, waiting for nothing. `scale` turns
    seconds a unit of work into `unit`.
    """
    works = (ours, *peers.values())
    for work in works:
        work.run()
    taken = [[scale * processor_seconds(work.run) / work.units for work in works] for _ in range(rounds)]
    own, *others = zip(*taken, strict=True)
    return compare(name, unit, own, dict(zip(peers, others, strict=True)))


def processor_seconds(run: Callable[[], object]) -> float:
    """Processor time of one run, over all threads of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def wall_seconds(run: Callable[[], object]) -> float:
    """Wall time of one run: what waits for a server, or works in several processes, is not told by processor time."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def table(measurements: Sequence[Measurement]) -> list[str]:
    """A line of headings and one of each measurement."""
    rows = [("", "median", "unit", "lowest-highest", "rounds", "against: median ratio (lowest-highest)")]
    for each in measurements:
        ratios = (f"{peer} ×{_three(ratio.median)}{_spread(ratio, ' (', ')')}" for peer, ratio in each.against.items())
        value = each.value
        rounds = str(len(value.numbers))
        rows.append((each.name, _three(value.median), each.unit, _spread(value), rounds, "  ".join(ratios)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = ("<", ">", "<", ">", ">", "<")
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, aligned, widths, strict=True)).rstrip()
        for row in rows
    ]


def as_json(measurements: Sequence[Measurement]) -> dict[str, object]:
    """{name: {value, unit, against: {peer: ratio}}}, medians all."""
    return {
        each.name: {
            "value": round(each.value.median, 3),
            "unit": each.unit,
            "against": {peer: round(ratio.median, 3) for peer, ratio in each.against.items()},
        }
        for each in measurements
    }


def _spread(rounds: Rounds, before: str = "", after: str = "") -> str:
    """Nothing where there is one round."""
    if len(rounds.numbers) == 1:
        return ""
    return f"{before}{_three(rounds.lowest)}-{_three(rounds.highest)}{after}"


def _three(number: float) -> str:
    """Three significant digits, or all before the point."""
    size = math.floor(math.log10(abs(number))) if number else 0
    return f"{number:,.{max(0, 2 - size)}f}"
