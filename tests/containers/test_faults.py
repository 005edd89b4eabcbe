"""What goes wrong in operation, caused on purpose on a chain of three pairs: each test breaks one thing."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Final

import pytest

from compose.engine import TASK_LABEL
from compose.images import image
from compose.trigger import CHAIN
from tests.containers.fakes import Fakes
from tests.containers.running_stack import RunningStack, engine, kill_process, until
from tests.containers.trees import APPROVAL_MINUTES, TIMEOUT_SECONDS

RETRAIN, PUBLISH = CHAIN[0], CHAIN[-1]
CHAIN_SECONDS: Final = 240
TARGET_SECONDS: Final = 120
FILLER: Final = "/srv/archive/filler"


def undisturbed(stack: RunningStack, run: str, **conf: object) -> str:
    """The version a chain makes that nothing disturbs."""
    stack.trigger(run, **conf)
    stack.finished(run, CHAIN_SECONDS, answer="Approve")
    return str(published(stack, run)["model_version"])


def published(stack: RunningStack, run: str) -> dict[str, Any]:
    return dict(stack.handed_on(PUBLISH, run, "publish")["outputs"])


def checksums(stack: RunningStack, version: str) -> str:
    return stack.in_archive(f"cat /srv/archive/models/{version}/checksums.json")


def models(stack: RunningStack) -> list[list[str]]:
    return stack.sql("SELECT model_version, status FROM core.model_registry ORDER BY 1")


def test_a_chain_of_three_pairs_ends_in_time(faults: RunningStack, fakes: Fakes) -> None:
    started = time.monotonic()
    version = undisturbed(faults, "calm", reason="undisturbed")
    seconds = time.monotonic() - started
    print(f"\nchain of three pairs: {seconds:.0f} s")  # noqa: T201
    assert models(faults) == [[version, "deployed"]]
    assert seconds <= TARGET_SECONDS
    until("the deployment to be told", lambda: _told(fakes, "#analytics-info", version), 30)
    until("the question to be told", lambda: _told(fakes, "#ml-ops", "calm"), 30)


def test_a_training_container_that_is_killed_is_run_again_to_the_same_model(faults: RunningStack) -> None:
    (version, _), *_ = models(faults)
    before = checksums(faults, version)
    faults.trigger("killed")
    container = faults.started("killed", "train/", CHAIN_SECONDS)
    engine("kill", "--signal", "KILL", container)
    faults.finished("killed", CHAIN_SECONDS, answer="Approve")
    assert faults.task(RETRAIN, "killed", "train")["try_number"] == 2
    assert published(faults, "killed")["model_version"] == version
    assert checksums(faults, version) == before
    assert models(faults) == [[version, "deployed"]], "the same month twice made two models"


def test_a_scheduler_that_is_killed_comes_back_and_the_run_completes(faults: RunningStack) -> None:
    (version, _), *_ = models(faults)
    faults.trigger("scheduler")
    faults.started("scheduler", "train/", CHAIN_SECONDS)
    kill_process(faults.container("scheduler"))
    faults.finished("scheduler", CHAIN_SECONDS, answer="Approve")
    assert published(faults, "scheduler")["model_version"] == version
    assert engine("inspect", "--format", "{{.RestartCount}}", faults.container("scheduler")) != "0"
    assert leftovers(faults) == []


def test_postgresql_may_restart_in_the_middle_of_a_run(faults: RunningStack) -> None:
    (version, _), *_ = models(faults)
    faults.trigger("postgres")
    faults.started("postgres", "train/", CHAIN_SECONDS)
    engine("restart", "--time", "10", faults.container("postgres"))
    faults.finished("postgres", CHAIN_SECONDS, answer="Approve")
    assert published(faults, "postgres")["model_version"] == version
    assert len(faults.sql("SELECT id FROM audit.config_changes WHERE event = 'MODEL_APPLIED'")) == 1


def test_slack_may_be_down_for_a_whole_run(faults: RunningStack, fakes: Fakes) -> None:
    fakes.stop("slack")
    faults.trigger("deaf", pairs=["ALDUSD-ASHUSD", "BAYUSD-BIRUSD"], reason="two pairs")
    faults.finished("deaf", CHAIN_SECONDS, answer="Reject")
    waiting = faults.sql("SELECT count(*) FROM core.deliveries WHERE target = 'slack' AND settled IS NULL")
    assert int(waiting[0][0]) > 0, "nothing waited for Slack"
    fakes.start("slack")
    version = str(faults.handed_on(RETRAIN, "deaf", "catalog")["outputs"]["model_version"])
    until("the refusal to be told", lambda: _told(fakes, "#ml-ops", version), 60)


def test_a_refused_model_is_registered_as_rejected_with_who_refused(faults: RunningStack) -> None:
    """What the run before was answered: nothing was published, and the registry says so."""
    version = str(faults.handed_on(RETRAIN, "deaf", "catalog")["outputs"]["model_version"])
    assert faults.task(PUBLISH, "deaf", "publish")["state"] == "skipped"
    ((status, notes),) = faults.sql(
        f"SELECT status, replace(notes, chr(10), ' ') FROM core.model_registry WHERE model_version = '{version}'"  # noqa: S608
    )
    assert status == "rejected"
    assert "approver" in notes
    assert faults.in_archive(f"ls /srv/archive/shared/{version} 2>&1 || true").endswith("No such file or directory")


def test_nobody_but_an_approver_approves_and_no_answer_means_no(faults: RunningStack) -> None:
    faults.trigger("silent", pairs=["ALDUSD-ASHUSD", "BOXUSD-CEDUSD"])
    for flow in CHAIN[:-1]:
        assert faults.ended(flow, "silent", CHAIN_SECONDS) == "success"
    for user in ("operator", "viewer"):
        with pytest.raises(Exception, match="403"):
            faults.answer("silent", "Approve", CHAIN_SECONDS, user=user)
    assert faults.ended(PUBLISH, "silent", 60 * APPROVAL_MINUTES + CHAIN_SECONDS) == "success"
    version = str(faults.handed_on(RETRAIN, "silent", "catalog")["outputs"]["model_version"])
    ((status, notes),) = faults.sql(
        f"SELECT status, replace(notes, chr(10), ' ') FROM core.model_registry WHERE model_version = '{version}'"  # noqa: S608
    )
    assert status == "rejected"
    assert "nobody approved in time" in notes


def test_a_task_that_hangs_is_ended_and_its_container_removed(faults: RunningStack, fakes: Fakes) -> None:
    """Its beat stops before its time is up, which is told at once to whoever is on duty."""
    faults.trigger("hanging")
    container = faults.started("hanging", "train/", CHAIN_SECONDS)
    beat = ("HEXISTS", "core:heartbeat:tasks", "hanging/train")
    until("the first beat", lambda: faults.redis(*beat) == "1", TIMEOUT_SECONDS)
    for line in engine("top", container, "-eo", "pid,uid,args").splitlines()[1:]:
        os.kill(int(line.split()[0]), signal.SIGSTOP)
    until("the lost beat to be told", lambda: _told(fakes, "#risk-alerts", "CORE_RETRAIN_HEARTBEAT"), TIMEOUT_SECONDS)
    assert len([each for each in fakes.incidents() if "CORE_RETRAIN_HEARTBEAT" in str(each)]) == 1
    assert faults.ended(RETRAIN, "hanging", TIMEOUT_SECONDS + CHAIN_SECONDS) == "failed"
    assert faults.task(RETRAIN, "hanging", "train")["try_number"] == 1
    assert leftovers(faults) == []


def test_a_gate_that_fails_stops_the_chain_and_shows_its_report(faults: RunningStack, fakes: Fakes) -> None:
    before = models(faults)
    faults.trigger("red", pairs=["BAYUSD-BIRUSD", "BOXUSD-CEDUSD"])
    until("catalog", lambda: faults.task(RETRAIN, "red", "catalog")["state"] == "success", CHAIN_SECONDS)
    run = faults.handed_on(RETRAIN, "red", "catalog")["outputs"]["run_id"]
    spoil = f"import pandas as p; f='/srv/archive/runs/{run}/catalog/dataset_index.parquet'"
    spoil += "; d=p.read_parquet(f); d['bars_written']=-1; d.to_parquet(f)"
    faults.in_archive(f'/opt/venv/bin/python -c "{spoil}"')
    assert faults.ended(RETRAIN, "red", CHAIN_SECONDS) == "failed"
    assert faults.task(RETRAIN, "red", "gate-index")["state"] == "failed"
    assert faults.task(RETRAIN, "red", "gate-index")["try_number"] == 1, "a red gate is no reason to try again"
    assert faults.task(RETRAIN, "red", "train")["state"] == "upstream_failed"
    links = faults.airflow().get(f"/dags/{RETRAIN}/dagRuns/red/taskInstances/gate-index/links")["extra_links"]
    assert "bars_written" in faults.airflow("viewer").page(f"http://127.0.0.1:{faults.port}{links['Report']}")
    assert models(faults) == before, "something was published"
    until("the gate to be told", lambda: _told(fakes, "#ml-ops", "index"), 60)


def test_two_failures_in_a_row_pause_retraining_until_a_person_resumes_it(faults: RunningStack, fakes: Fakes) -> None:
    """The hanging and the red run were two: the third is not admitted."""
    faults.trigger("paused")
    assert faults.ended(RETRAIN, "paused", CHAIN_SECONDS) == "success"
    assert faults.task(RETRAIN, "paused", "admit")["state"] == "skipped"
    assert faults.task(RETRAIN, "paused", "ingest")["state"] == "skipped"
    until("the pause to be told", lambda: _told(fakes, "#ml-ops", "core.ops"), 60)
    faults.trigger("resumed", resume=True, reason="the index was spoiled by hand")
    until("admission", lambda: faults.task(RETRAIN, "resumed", "admit")["state"] == "success", CHAIN_SECONDS)
    ((actor,),) = faults.sql("SELECT actor FROM audit.config_changes WHERE event = 'RETRAIN_RESUMED'")
    assert actor == "operator"
    faults.finished("resumed", CHAIN_SECONDS, answer="Approve")


def test_an_image_that_is_missing_is_named_and_not_tried_again(faults: RunningStack, fakes: Fakes) -> None:
    name, kept = image("tasks"), "ml-assets-core/kept:test"
    engine("tag", name, kept)
    engine("rmi", "--no-prune", "--force", name)
    try:
        faults.trigger("imageless")
        assert faults.ended(RETRAIN, "imageless", CHAIN_SECONDS) == "failed"
    finally:
        engine("tag", kept, name)
        engine("rmi", "--no-prune", kept)
    assert faults.task(RETRAIN, "imageless", "admit")["try_number"] == 1
    until("the failure to be told", lambda: _told(fakes, "#ml-ops", "imageless"), 60)
    log = faults.log(RETRAIN, "imageless", "admit")
    assert name in log
    assert "make images" in log


def test_a_full_disk_ends_the_task_and_the_next_run_goes_on(faults: RunningStack) -> None:
    (version, _), *_ = [each for each in models(faults) if each[1] == "deployed"]
    faults.in_archive(f"dd if=/dev/zero of={FILLER} bs=64k 2>/dev/null; true")
    try:
        faults.trigger("full", history_months=23)
        assert faults.ended(RETRAIN, "full", CHAIN_SECONDS) == "failed"
    finally:
        faults.in_archive(f"rm -f {FILLER}")
    failed = [each for each in faults.tasks(RETRAIN, "full") if each["state"] == "failed"]
    assert [each["try_number"] for each in failed] == [3], failed
    assert "STORE_DISK_WRITE" in faults.log(RETRAIN, "full", failed[0]["task_id"])
    faults.trigger("emptied", resume=True, reason="the disk was full")
    faults.finished("emptied", CHAIN_SECONDS, answer="Approve")
    assert published(faults, "emptied")["model_version"] == version


def leftovers(stack: RunningStack) -> list[str]:
    return engine(
        "ps", "--all", "--quiet", "--filter", f"label={TASK_LABEL}", "--filter", f"network={stack.name}"
    ).split()


def _told(fakes: Fakes, channel: str, word: str) -> bool:
    return any(each["channel"] == channel and word in each["text"] for each in fakes.messages())
