"""Two Celery workers and an object store: parts on both, one worker killed in the midst of training, one model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from compose.trigger import CHAIN
from tests.containers.object_store import KEYS, ObjectStore
from tests.containers.running_stack import RunningStack, engine, kill_process, require_engines_root, until
from tests.containers.trees import scale_tree

SCALE: Final = "ml-assets-core-scale"
RUN: Final = "scale"
SECONDS: Final = 300
WORKERS: Final = ("worker-1", "worker-2")
_WITHOUT_NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Ended:
    """A chain that ended well, and what was seen of it on the way."""

    stack: RunningStack
    store: ObjectStore
    killed: str
    volumes_before: set[str]
    version: str


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """The chain on two workers, of which the one that trains first is killed while it does."""
    require_engines_root()
    stack = RunningStack(SCALE, scale_tree(tmp_path_factory.mktemp("scale")), scale=True, storage="s3")
    store = ObjectStore(stack)
    stack.down()
    before = volumes_without_name()
    store.give_address()
    try:
        stack.up()
        store.start()
        stack.trigger(RUN)
        stack.started(RUN, "train-shards", SECONDS)
        killed = until("a worker that trains", lambda: training_worker(stack), SECONDS)
        kill_process(stack.container(killed))
        stack.finished(RUN, SECONDS)
        version = stack.handed_on(CHAIN[-1], RUN, "publish")["outputs"]["model_version"]
        yield Ended(stack, store, killed, before, version)
    finally:
        store.stop()
        stack.down()


def test_parts_run_on_both_workers(ended: Ended) -> None:
    parts = [task for flow in CHAIN for task in ended.stack.tasks(flow, RUN) if task["map_index"] >= 0]
    assert sorted((task["task_id"], task["map_index"]) for task in parts) == [
        (f"{name}-shards", index) for name in ("features", "ingest", "theta", "train") for index in (0, 1)
    ]
    assert {worker_of(ended.stack, task) for task in parts} == set(WORKERS)


def test_what_the_killed_worker_ran_was_tried_again(ended: Ended) -> None:
    tries = [task["try_number"] for task in ended.stack.tasks(CHAIN[0], RUN) if task["task_id"] == "train-shards"]
    assert max(tries) == 2
    again = until("the killed worker", lambda: engine("inspect", "-f", "{{.State.Running}}", killed_id(ended)), 60)
    assert again == "true"


def test_two_searched_theta_and_valued_each_once(ended: Ended) -> None:
    states = ended.stack.sql("SELECT state, count(*), count(DISTINCT number) FROM theta.trials GROUP BY state")
    ((state, count, numbers),) = states
    assert state == "COMPLETE"
    assert count == numbers != "0"


def test_one_model_is_deployed_and_verified_from_the_store(ended: Ended) -> None:
    stack, version = ended.stack, ended.version
    assert stack.sql("SELECT model_version, status FROM core.model_registry") == [[version, "deployed"]]
    assert stack.redis("HGET", "core:models:deployed", "model_version") == version
    assert stack.command("verify", "--model-version", version)["outputs"]["model_version"] == version


def test_the_bucket_holds_bundle_run_lake_and_features_and_no_key(ended: Ended) -> None:
    trees = ended.store.trees()
    folders = trees.all_folders()
    bundle = trees.read(f"models/{ended.version}")
    assert "checksums.json" in bundle
    assert trees.read(f"shared/{ended.version}") == bundle
    roots = {folder.split("/")[0] for folder in folders}
    assert {"canonical", "features", "models", "runs", "shared", "journal"} <= roots
    assert f"runs/{ended.version}/gates" in folders
    names = [f"{folder}/{name}" for folder in folders for name in trees.read(folder)]
    assert [name for name in names if name.endswith((".pem", ".pub"))] == []


def test_a_report_is_shown_once_it_is_fetched(ended: Ended) -> None:
    viewer = ended.stack.airflow("viewer")
    folder = f"runs/{ended.version}/gates"
    page = f"http://127.0.0.1:{ended.stack.port}/reports/{folder}/index/index.html"
    with pytest.raises(Exception, match=f"storage fetch {folder}"):
        viewer.page(page)
    ended.stack.command("storage", "fetch", folder)
    assert "must never be null" in viewer.page(page)


def test_nothing_a_task_worked_in_is_left_and_no_container_was_told_a_key(ended: Ended) -> None:
    assert volumes_without_name() - ended.volumes_before == set()
    containers = engine("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={SCALE}").split()
    described = engine("inspect", *containers)
    assert KEYS["s3_secret_access_key"] not in described


def test_a_store_without_a_name_is_refused_and_each_missing_part_named() -> None:
    stack = RunningStack(f"{SCALE}-unnamed", storage="s3")
    try:
        done = stack.make("up")
        assert done.returncode != 0
        assert "s3_endpoint_url, s3_bucket, s3_access_key_id, s3_secret_access_key" in done.stderr
    finally:
        stack.down()


def volumes_without_name() -> set[str]:
    return {name for name in engine("volume", "ls", "--quiet").split() if _WITHOUT_NAME.fullmatch(name)}


def worker_of(stack: RunningStack, task: dict[str, Any]) -> str | None:
    """The service a task instance runs or ran on; None while it runs nowhere."""
    host = (task["hostname"] or "").split(".")[0]
    return next((each for each in WORKERS if host and stack.container(each).startswith(host)), None)


def training_worker(stack: RunningStack) -> str | None:
    tasks = [task for task in stack.tasks(CHAIN[0], RUN) if task["task_id"] == "train-shards"]
    return next((found for task in tasks if task["state"] == "running" and (found := worker_of(stack, task))), None)


def killed_id(ended: Ended) -> str:
    return ended.stack.container(ended.killed)
