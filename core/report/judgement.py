"""The verdict: every number beside its limit, and the comparison with the deployed model (SPEC BT-4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.report.document import Fact, Section, Table, Tone
from core.report.material import Material
from core.report.wording import NOT_COMPUTED, count, number, share, span


@dataclass(frozen=True)
class _Check:
    """A number of verdict.json and the limit it is held against, both by dotted path."""

    name: str
    key: str
    limit: str
    rule: Literal["above", "below", "at least", "at most"]
    form: str

    def outcome(self, verdict: Mapping[str, Any]) -> str:
        """`holds`, `missed` or `reported`; `not computed` where the number or the limit is not there."""
        value, limit = _at(verdict, self.key), _at(verdict["limits"], self.limit)
        if value is None or limit is None:
            return NOT_COMPUTED
        if self._reported_only(limit):
            return "reported"
        holds = {"above": value > limit, "below": value < limit, "at least": value >= limit, "at most": value <= limit}
        return _outcome(holds[self.rule])

    def _reported_only(self, limit: float) -> bool:
        """Whether no probability can miss it: the policy then wants the number without judging by it."""
        return (self.rule, limit) in {("at least", 0.0), ("at most", 1.0)}

    def found(self, verdict: Mapping[str, Any]) -> str:
        return number(_at(verdict, self.key), self.form)

    def wanted(self, verdict: Mapping[str, Any]) -> str:
        limit = _at(verdict["limits"], self.limit)
        if limit is None:
            return "no limit recorded"
        if self._reported_only(limit):
            return "none, reported only"
        return f"{self.rule} {number(limit, self.form)}"


_CHECKS: Final = (
    _Check("Sharpe ratio, net, adoption window", "sharpe", "sharpe_min", "above", ".2f"),
    _Check("Largest drawdown, adoption window", "max_drawdown", "max_drawdown", "below", ".1%"),
    _Check("Trades a year, adoption window", "trades_per_year", "trades_per_year_min", "at least", ".0f"),
    _Check("Probability that the true Sharpe ratio is above 0", "psr", "psr_min", "at least", ".3f"),
)
_TRIES: Final = (
    _Check(
        "Probability that the true Sharpe ratio on the search window is above the luckiest θ's",
        *("evidence.search.probability", "deflated_sharpe.search_min", "at least", ".3f"),
    ),
    _Check(
        "Probability that the true Sharpe ratio on the adoption window is above the luckiest verdict's",
        *("evidence.adoption.probability", "deflated_sharpe.adoption_min", "at least", ".3f"),
    ),
    _Check(
        "Probability of backtest overfitting among the θ tried",
        *("evidence.overfitting.probability", "overfitting.probability_max", "at most", ".3f"),
    ),
    _Check(
        "Share of splits in which the best θ of one half earned nothing on the other",
        *("evidence.overfitting.loss_probability", "overfitting.loss_probability_max", "at most", ".3f"),
    ),
)
_SHORT: Final = {"sharpe": "Sharpe", "max_drawdown": "Drawdown", "trades_per_year": "Trades a year", "psr": "PSR"}
_COMPARED: Final = (
    ("Sharpe ratio", "sharpe", ".2f"),
    ("Largest drawdown", "max_drawdown", ".1%"),
    ("Annual return", "annual_return", ".1%"),
    ("Trades a year", "trades_per_year", ".0f"),
)
_TONES: Final[dict[str, Tone]] = {"holds": "good", "missed": "bad", "reported": "plain", NOT_COMPUTED: "plain"}
_COMPARED_LIMITS: Final = frozenset({"sharpe_ratio_to_deployed_min", "max_drawdown_above_deployed"})
# numbers that stand in a chapter or a table of their own
_ELSEWHERE: Final = frozenset(
    {
        *("model_version", "status", "reasons", "limits", "window", "comparison", "previous", "all_out_of_sample"),
        *("theta1", "theta2", "theta_status", "theta_reason", "n_pairs", "n_bars", "n_trades", "annual_return"),
        *("stress", "money_curve", "theta_search", "starts", *(check.key for check in _CHECKS)),
    }
)
_ROWS_MOST: Final = 60


def headline_facts(material: Material) -> tuple[Fact, ...]:
    """The judged numbers, each beside its limit."""
    verdict = material.verdict
    limits = tuple(
        Fact(
            _SHORT[check.key],
            check.found(verdict),
            f"limit: {check.wanted(verdict)}",
            _TONES[check.outcome(verdict)],
        )
        for check in _CHECKS
    )
    window = verdict["window"]
    return (
        *limits,
        Fact("Annual return", share(verdict.get("annual_return")), "no limit; for information"),
        Fact("Trades", number(verdict.get("n_trades"), ".0f"), f"{window['start'][:10]} to {window['end'][:10]}"),
    )


def summary_sentence(material: Material) -> str:
    """What the verdict means, in one sentence."""
    status, trades = material.verdict["status"], int(material.verdict.get("n_trades") or 0)
    if status == "approved":
        return "Every limit of the policy holds: the model may replace the deployed one."
    if trades == 0:
        return "The model is not adopted: at the θ in force it did not trade once on the adoption window."
    return "The model is not adopted: at least one limit of the policy does not hold. What is deployed stays."


def judgement_section(material: Material) -> Section:
    """The chapter with all checks, the comparison and every other number of the verdict."""
    verdict = material.verdict
    rows = tuple(
        (
            check.name,
            check.found(verdict),
            check.wanted(verdict),
            check.outcome(verdict),
        )
        for check in (*_CHECKS, *(each for each in _TRIES if "evidence" in verdict))
    )
    days = verdict.get("all_out_of_sample", {}).get("n_days")
    checks = Table(
        "Absolute limits",
        ("Number", "Found", "Limit", "Outcome"),
        rows,
        left=(0, 2, 3),
        text=(
            "The first three are of the adoption window, the newest twelve months, which neither training of the "
            "judged predictions nor the θ search has seen. The probability is of all out-of-sample months"
            + (f" ({count(int(days), 'day')})." if days is not None else ".")
        ),
    )
    tables = [checks, _comparison(verdict)]
    shown = {*(check.limit for check in _CHECKS), *_COMPARED_LIMITS}
    for title, node in (
        ("Every other limit of the policy", _without(verdict["limits"], shown)),
        ("Every other number of the verdict", _without(verdict, _ELSEWHERE)),
    ):
        rest = tuple(_flat(node))
        if rest:
            tables.append(Table(title, ("Key", "Value"), rest[:_ROWS_MOST], left=(0, 1)))
    return Section(
        "verdict",
        "Verdict",
        "A model is adopted only when every limit holds. The limits are those of backtest_policy.yaml as the run "
        "found them; results are net of spread, slippage, commission and swap.",
        tables=tuple(tables),
    )


def _comparison(verdict: Mapping[str, Any]) -> Table:
    title, header = "Against the deployed model", ("Number", "This model", "Deployed", "Limit", "Outcome")
    compared, limits = verdict.get("comparison", {}), verdict["limits"]
    if "challenger" not in compared:
        reason = compared.get("reason", "the run records no comparison")
        return Table(title, header, (), absent=f"Not compared: {reason}.")
    new, old = compared["challenger"], compared["deployed"]
    ratio, above = (limits.get(name) for name in ("sharpe_ratio_to_deployed_min", "max_drawdown_above_deployed"))
    rule = {
        "sharpe": (
            f"at least {number(ratio)} × the deployed",
            _outcome(None if ratio is None else new["sharpe"] >= ratio * old["sharpe"]),
        ),
        "max_drawdown": (
            f"at most {share(above)} above the deployed",
            _outcome(None if above is None else new["max_drawdown"] <= old["max_drawdown"] + above),
        ),
    }
    rows = tuple(
        (name, number(new.get(key), form), number(old.get(key), form), *rule.get(key, ("for information", "–")))
        for name, key, form in _COMPARED
    )
    text = (
        f"Deployed is {compared['deployed_version']}; both on predictions neither was trained on, {compared['span']}."
    )
    paired = compared.get("paired")
    if paired:
        ends = span(paired["low"], paired["high"], "+.2f")
        text += f" Sharpe difference {number(paired['difference'], '+.2f')} ({ends}): {_words(paired['answer'])}."
        if paired["answer"] == "unproven":
            decides = _words(limits.get("paired", {}).get("unproven_decides", NOT_COMPUTED))
            text += f" What the policy does with unproven: {decides}."
    return Table(title, header, rows, left=(0, 3, 4), text=text)


def _outcome(holds: bool | None) -> str:
    return NOT_COMPUTED if holds is None else ("holds" if holds else "missed")


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _at(node: Any, path: str) -> float | None:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return None if node is None else float(node)


def _without(node: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name not in names}


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested JSON as (dotted path, text)."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for place, value in enumerate(node):
            yield from _flat(value, f"{path}.{place + 1}")
    elif isinstance(node, bool) or not isinstance(node, int | float):
        yield path, NOT_COMPUTED if node is None else str(node)
    else:
        yield path, f"{node:,}" if isinstance(node, int) else number(node, ".4g")
