"""Contradictions between configuration files that no single file's schema can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.config.backtest_policy import BacktestPolicy
from core.config.core_policy import CorePolicy
from core.config.cost_table import CostTable
from core.config.data_retention import DataRetention
from core.config.environment import Environment
from core.config.faults import Fault
from core.config.ml_core_storage import MlCoreStorage
from core.config.model import ConfigModel
from core.config.observability_policy import ObservabilityPolicy
from core.config.pipeline_policy import PipelinePolicy
from core.config.retrain_policy import RetrainPolicy
from core.config.sources import FileProvider, Simulator, Sources
from core.config.universe import Universe

Section = TypeVar("Section", bound=ConfigModel)


def find_contradictions(sections: Mapping[str, ConfigModel], environment: str) -> list[Fault]:
    """All contradictions among the sections that could be read (a section with faults of its own is absent)."""

    def get(name: str, kind: type[Section]) -> Section | None:
        section = sections.get(name)
        return section if isinstance(section, kind) else None

    universe, core = get("universe", Universe), get("core_policy", CorePolicy)
    pipeline, retrain = get("pipeline_policy", PipelinePolicy), get("retrain_policy", RetrainPolicy)
    costs, sources = get("cost_table", CostTable), get("sources", Sources)
    retention, backtest = get("data_retention", DataRetention), get("backtest_policy", BacktestPolicy)
    named, observability = get("environment", Environment), get("observability_policy", ObservabilityPolicy)
    storage = get("ml_core_storage", MlCoreStorage)
    faults: list[Fault] = []
    if universe:
        faults += _universe(universe)
        if costs:
            faults += _cost_overrides(costs, universe)
        if sources:
            faults += _simulated_symbols(sources, universe)
    if core:
        faults += _core(core)
    if sources:
        faults += _priorities(sources)
        faults += _layout_zones(sources)
    if pipeline:
        faults += _pipeline(pipeline)
    if retrain:
        faults += _retrain(retrain)
    faults += _history(pipeline, retrain, retention)
    if observability:
        faults += _observability(observability, environment)
    if backtest:
        faults += _zone("backtest_policy.yaml", "daily_mark.timezone", backtest.daily_mark.timezone)
    if storage:
        faults += _roots(storage, named)
    if named:
        faults += _environment(named, environment)
    return faults


def _history(
    pipeline: PipelinePolicy | None, retrain: RetrainPolicy | None, retention: DataRetention | None
) -> Iterator[Fault]:
    if pipeline is None:
        return
    months = pipeline.history_lookback_months
    named = f"history_lookback_months of pipeline_policy.yaml ({months})"
    if retrain and retrain.history_months > months:
        yield Fault("retrain_policy.yaml", "history_months", f"at most {named}")
    if retention and retention.canonical_months < months:
        yield Fault("data_retention.yaml", "canonical_months", f"at least {named}")


def _environment(named: Environment, environment: str) -> Iterator[Fault]:
    if named.name != environment:
        yield Fault("environment.yaml", "name", f"{environment}, the environment it is read for")
    if named.kubernetes.cpu.request_milli > named.kubernetes.cpu.limit_milli:
        yield Fault("environment.yaml", "kubernetes.cpu.request_milli", "at most kubernetes.cpu.limit_milli")
    if named.runner == "docker" and (len(named.signing.folders) > 1 or "." in named.signing.folders):
        yield Fault("environment.yaml", "signing", "both keys in one folder below ARCHIVE_PATH, which is a volume")


def _zone(file: str, key: str, zone: str) -> Iterator[Fault]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield Fault(file, key, f"an IANA time zone such as America/New_York, not {zone!r}")


def _roots(storage: MlCoreStorage, environment: Environment | None) -> Iterator[Fault]:
    """Roots lie apart; what lies in one may be copied to an object store, so no signing key does."""
    places = [("ml_core_storage.yaml", name, folder) for name, folder in storage.roots.items()]
    if environment:
        keys = environment.signing.model_dump()
        places += [("environment.yaml", f"signing.{name}", file) for name, file in keys.items()]
    for file, key, place in places:
        for name, root in storage.roots.items():
            if key != name and _lies_in(place, root):
                yield Fault(file, key, f"a place outside {name} ({root}), not {place!r}")


def _lies_in(path: str, folder: str) -> bool:
    parts = [part for part in folder.split("/") if part]
    return [part for part in path.split("/") if part][: len(parts)] == parts


def _universe(universe: Universe) -> Iterator[Fault]:
    file = "universe.yaml"
    for name, calendar in universe.calendars.items():
        yield from _zone(file, f"calendars.{name}.timezone", calendar.timezone)
    for name, symbol in universe.symbols.items():
        if symbol.calendar not in universe.calendars:
            yield Fault(file, f"symbols.{name}.calendar", f"a calendar of this file, not {symbol.calendar!r}")
        if not _converts_to_usd(symbol.quote, universe):
            expected = f"a symbol of this file that turns {symbol.quote} into USD (e.g. USD{symbol.quote})"
            yield Fault(file, f"symbols.{name}.quote", expected)
    seen: set[str] = set()
    for index, pair in enumerate(universe.pairs):
        for leg in ("a", "b"):
            if getattr(pair, leg) not in universe.symbols:
                yield Fault(file, f"pairs.{index}.{leg}", f"a symbol of this file, not {getattr(pair, leg)!r}")
        if pair.a == pair.b:
            yield Fault(file, f"pairs.{index}", f"two different legs, not {pair.a!r} twice")
        if pair.id in seen:
            yield Fault(file, f"pairs.{index}.id", f"an id used once; {pair.id!r} stands twice")
        seen.add(pair.id)


def _converts_to_usd(currency: str, universe: Universe) -> bool:
    legs = {(symbol.base, symbol.quote) for symbol in universe.symbols.values()}
    return currency == "USD" or (currency, "USD") in legs or ("USD", currency) in legs


def _cost_overrides(costs: CostTable, universe: Universe) -> Iterator[Fault]:
    for name in costs.overrides:
        if name not in universe.symbols:
            yield Fault("cost_table.yaml", f"overrides.{name}", "a symbol of universe.yaml")


def _simulated_symbols(sources: Sources, universe: Universe) -> Iterator[Fault]:
    for index, provider in enumerate(sources.providers):
        if not isinstance(provider, Simulator):
            continue
        simulated = [symbol for pair in provider.pairs for symbol in (pair.a, pair.b)]
        for symbol in sorted({name for name in simulated if name not in universe.symbols}):
            yield Fault("sources.yaml", f"providers.{index}.pairs", f"symbols of universe.yaml, not {symbol!r}")
        for symbol in sorted({name for name in simulated if simulated.count(name) > 1}):
            yield Fault("sources.yaml", f"providers.{index}.pairs", f"each symbol once; {symbol!r} stands twice")


def _priorities(sources: Sources) -> Iterator[Fault]:
    for field in ("priority", "name"):
        values = [getattr(provider, field) for provider in sources.providers]
        for value in sorted({value for value in values if values.count(value) > 1}):
            yield Fault("sources.yaml", f"providers.*.{field}", f"a {field} used once; {value!r} stands twice")


def _layout_zones(sources: Sources) -> Iterator[Fault]:
    for index, provider in enumerate(sources.providers):
        if isinstance(provider, FileProvider):
            yield from _zone("sources.yaml", f"providers.{index}.layout.timezone", provider.layout.timezone)


def _core(core: CorePolicy) -> Iterator[Fault]:
    file = "core_policy.yaml"
    for name, initial in (("theta1", core.theta1_initial), ("theta2", core.theta2_initial)):
        low, high = getattr(core.theta_search_range, name)
        if not low <= initial <= high:
            yield Fault(file, f"{name}_initial", f"a value within theta_search_range.{name} [{low}, {high}]")
    for name in core.scaling.clipped:
        if name not in core.model_inputs:
            yield Fault(file, "scaling.clipped", f"names that stand in model_inputs; {name!r} does not")
    if len(set(core.model_inputs)) != len(core.model_inputs):
        yield Fault(file, "model_inputs", "each column once")
    ai1 = core.label.ai1
    if not ai1.z_exit < ai1.z_entry < core.decision.z_stop:
        yield Fault(file, "decision.z_stop", "label.ai1.z_exit < label.ai1.z_entry < decision.z_stop")
    if core.feature_windows.ema_fast >= core.feature_windows.ema_slow:
        yield Fault(file, "feature_windows.ema_fast", "fewer bars than ema_slow")


def _pipeline(pipeline: PipelinePolicy) -> Iterator[Fault]:
    file = "pipeline_policy.yaml"
    if pipeline.timeframe_default not in pipeline.timeframe_allowed:
        yield Fault(file, "timeframe_default", f"one of timeframe_allowed {list(pipeline.timeframe_allowed)}")
    for timeframe in pipeline.timeframe_allowed:
        if timeframe not in pipeline.freshness_budget_seconds:
            yield Fault(file, "freshness_budget_seconds", f"a budget for the allowed time frame {timeframe}")


def _retrain(retrain: RetrainPolicy) -> Iterator[Fault]:
    file = "retrain_policy.yaml"
    fields = retrain.retrain_cron.split()
    if len(fields) != 5:
        yield Fault(file, "retrain_cron", f"five cron fields, not {len(fields)}")
    walk = retrain.walk_forward
    searched = retrain.history_months - walk.adoption_window_months - walk.first_training_days / 30.4
    if searched < 3:
        expected = "history_months that leave at least 3 months for the θ search after first_training_days and adoption"
        yield Fault(file, "history_months", expected)
    certificate = retrain.leak_certificate
    if certificate.refits > certificate.moments:
        yield Fault(file, "leak_certificate.refits", f"at most leak_certificate.moments ({certificate.moments})")
    if retrain.heartbeat_lost_seconds < 2 * retrain.heartbeat_seconds:
        expected = f"at least twice heartbeat_seconds ({retrain.heartbeat_seconds}): one late beat is no loss"
        yield Fault(file, "heartbeat_lost_seconds", expected)
    low, high = retrain.base_rate_limits
    if not 0 <= low < high <= 1:
        yield Fault(file, "base_rate_limits", "0 ≤ low < high ≤ 1")


def _observability(policy: ObservabilityPolicy, environment: str) -> Iterator[Fault]:
    file = "observability_policy.yaml"
    if environment == "prod" and not policy.notifications.pagerduty.base_url.startswith("https://"):
        yield Fault(file, "notifications.pagerduty.base_url", "https:// in production")
    delivery = policy.watch.delivery
    for name, backoff in (("outage", delivery.outage), ("refused", delivery.refused)):
        if backoff.max_seconds < backoff.first_seconds:
            yield Fault(file, f"watch.delivery.{name}.max_seconds", f"at least first_seconds ({backoff.first_seconds})")
