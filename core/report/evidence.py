"""What the model was made from: the data used and left out, and the identity of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from core.report.document import Fact, Section, Table
from core.report.material import Material
from core.report.wording import NOT_COMPUTED, count, number, share, usd

_LISTED: Final = 60
_OUTSIDE: Final = "outside_window"


def data_section(material: Material) -> Section:
    """Pairs, bars, and which partitions were left out and why."""
    verdict, filtered = material.verdict, material.filtered
    excluded = list(filtered.get("excluded", []))
    used = material.index[material.index["admitted"].astype(bool)]
    months = sorted({f"{row.year}-{row.month:02d}" for row in used.itertuples()})
    bars = int(used["bars_written"].sum())
    facts = (
        Fact("Pairs", str(verdict.get("n_pairs", NOT_COMPUTED)), f"{count(used['symbol'].nunique(), 'symbol')}"),
        Fact("Bars of pairs", number(verdict.get("n_bars"), ",.0f"), "both legs aligned"),
        Fact("Months", f"{len(months):,}", f"{months[0]} to {months[-1]}" if months else "none admitted"),
        Fact("Partitions used", f"{len(used):,}", f"of {count(len(material.index), 'partition')}"),
        Fact("Bars filled in", share(used["filled_bars"].sum() / bars if bars else None, 2), "never an outlier"),
    )
    return Section(
        "data",
        "Data",
        "A partition is one month of one symbol. The catalog admits it or leaves it out by the limits of "
        "pipeline_policy.yaml; nothing bridges a month that is left out.",
        facts=facts,
        tables=(_reasons(excluded), _left_out(excluded), _pairs(material), _starts(verdict)),
    )


def _reasons(excluded: list[dict[str, Any]]) -> Table:
    counts = Counter(str(each["reason"]) for each in excluded)
    rows = tuple((_plain(name), f"{many:,}") for name, many in sorted(counts.items()))
    return Table("Partitions left out, by reason", ("Reason", "Partitions"), rows, absent="No partition was left out.")


def _left_out(excluded: list[dict[str, Any]]) -> Table:
    within = [each for each in excluded if each["reason"] != _OUTSIDE]
    rows = tuple(
        (
            each["symbol"],
            each["month"],
            _plain(each["reason"]),
            "–" if each["observed"] is None else number(each["observed"], ".4g"),
            "–" if each["threshold"] is None else number(each["threshold"], ".4g"),
        )
        for each in within[:_LISTED]
    )
    more = len(within) - len(rows)
    return Table(
        "Left out within the months used",
        ("Symbol", "Month", "Reason", "Found", "Limit"),
        rows,
        left=(0, 1, 2),
        text=f"{count(more, 'more partition')} in dataset_index_filtered.json." if more > 0 else "",
        absent="No partition within the months used was left out.",
    )


def _pairs(material: Material) -> Table:
    rows = tuple(
        (
            name,
            f"{found['bars']:,}",
            f"{found['rows']:,}",
            f"{found['excluded']['rows_with_nan']:,}",
            f"{found['imputed']['filled_bars']:,}",
            f"{found['flagged']['spike_bars']:,}",
            f"{found['segments']:,}",
        )
        for name, found in sorted(material.preprocess.get("pairs", {}).items())
    )
    return Table(
        "Each pair's bars",
        ("Pair", "Bars", "Feature rows", "Warm-up", "Filled", "Spikes", "Segments"),
        rows,
        text="Warm-up bars have not the whole window of some feature behind them and are used by nothing.",
        absent="The run has no preprocess report.",
    )


def _starts(verdict: Mapping[str, Any]) -> Table:
    starts = verdict.get("starts")
    rows = (
        (
            ("predicted out of sample", f"{starts['n_starts']:,}"),
            *((f"left out: {_plain(cause)}", f"{many:,}") for cause, many in starts["untradable"].items()),
            ("can be a position", f"{starts['n_candidates']:,}"),
        )
        if starts
        else ()
    )
    return Table(
        "From starts to positions",
        ("Starts", "Number"),
        rows,
        text="What θ, the capital and positions already held then leave of them is in the chapter on trades.",
        absent="Not computed for this run.",
    )


def provenance_section(material: Material) -> Section:
    """Hashes, seed and capital: what makes this run this run."""
    identity = material.identity
    previous = identity.get("previous")
    capital = material.policy.capital
    rows = (
        ("model_version", identity["model_version"]),
        ("run_id", identity["run_id"]),
        ("as_of (UTC)", identity["as_of"]),
        ("timeframe", identity["timeframe"]),
        ("data_hash", identity["data_hash"]),
        ("code_hash", identity["code_hash"]),
        ("config_hash", identity["config_hash"]),
        ("feature_schema_hash", material.feature_schema_hash),
        ("seed", str(identity["seed"])),
        ("deployed before", previous["model_version"] if previous else "none"),
        ("capital", f"{usd(capital.initial_usd)} USD, leverage at most {number(capital.leverage_max, 'g')}"),
    )
    return Section(
        "provenance",
        "Provenance",
        "The same data, code, configuration and seed give the same model_version and this same report, byte by byte.",
        tables=(Table("Identity of the run", ("Key", "Value"), rows, left=(0, 1)),),
    )


def _plain(name: Any) -> str:
    return str(name).replace("_", " ")
