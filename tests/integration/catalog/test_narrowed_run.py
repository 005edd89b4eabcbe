"""A run over some pairs, from the command line: it is another run, and all its tasks are given the same."""

from __future__ import annotations

import pytest

from core.stores.catalog_index import read_index
from core.stores.files import read_json
from tasks.gates import Gate
from tests.fixtures.command_line import Command
from tests.fixtures.gates import pass_gates
from tests.fixtures.tiny_market import NOWHERE, TinyMarket

PAIR = "BAYUSD-BIRUSD"


@pytest.fixture
def command(tiny_market: TinyMarket, registry_url: str) -> Command:
    return Command.over(tiny_market.config, tiny_market.archive, registry_url, NOWHERE[1])


def test_the_run_is_over_these_pairs_and_no_task_takes_it_for_another(
    tiny_market: TinyMarket, command: Command
) -> None:
    outputs = command.outputs(f"--pairs={PAIR}", "catalog")
    assert outputs["n_pairs"] == 1
    assert outputs["model_version"] != tiny_market.version
    run = tiny_market.context().run_folder(str(outputs["run_id"]))
    assert [pair["id"] for pair in read_json(run.configuration)["universe"]["pairs"]] == [PAIR]
    assert set(read_index(run.dataset_index)["symbol"]) == set(tiny_market.settings.universe.symbols)
    pass_gates(run, Gate.CANONICAL, Gate.INDEX)
    words = ["features", "--run-id", run.path.name]
    exit_code, code, message = command.refusal(*words)
    assert (exit_code, code) == (20, "RUN_NARROWING_OTHER")
    assert f"identified with --pairs={PAIR} --history-months=9" in message
    assert command.refusal("--pairs=ALDUSD-ASHUSD", *words)[1] == "RUN_NARROWING_OTHER"
    assert command.outputs(f"--pairs={PAIR}", *words)["pairs"] == 1
    assert command.refusal("gate", "--name", "features", "--run-id", run.path.name)[1] == "RUN_NARROWING_OTHER"


def test_all_pairs_and_the_whole_period_are_the_run_without_them(tiny_market: TinyMarket, command: Command) -> None:
    every = ",".join(pair.id for pair in tiny_market.settings.universe.pairs)
    assert command.outputs(f"--pairs={every}", "--history-months=9", "catalog")["run_id"] == tiny_market.version


@pytest.mark.parametrize(
    ("option", "found"),
    [("--pairs=ALDUSD-XXXUSD", "'ALDUSD-XXXUSD'"), ("--history-months=7", "history_months: history_months that leave")],
)
def test_what_cannot_be_narrowed_starts_nothing(command: Command, option: str, found: str) -> None:
    exit_code, code, message = command.refusal(option, "catalog")
    assert (exit_code, code) == (20, "CONFIG_SCHEMA_INVALID")
    assert found in message
