"""Stacks of containers, one at a time: each module brings up the one it needs and takes it down again."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from compose.images import image
from tests.containers.fakes import Fakes
from tests.containers.running_stack import RunningStack, engine, require_engines_root
from tests.containers.trees import fault_tree

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))  # of a task run without a stack
DEMONSTRATION = "ml-assets-core-demo"
FAULTS = "ml-assets-core-faults"
ARCHIVE_MEGABYTES = 300


@dataclass(frozen=True)
class Demonstration:
    """The simulated market's stack, and how long `make up` took."""

    stack: RunningStack
    seconds_up: float


@pytest.fixture(scope="module")
def demonstration() -> Iterator[Demonstration]:
    """The product's own configuration, as `make up` brings it up."""
    stack = RunningStack(DEMONSTRATION)
    stack.down()
    try:
        yield Demonstration(stack, stack.up())
    finally:
        stack.down()


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Three pairs, an archive of ARCHIVE_MEGABYTES, and stand-ins for Slack and PagerDuty beside it."""
    require_engines_root()
    stack = RunningStack(FAULTS, fault_tree(tmp_path_factory.mktemp("faults"), FAULTS))
    stack.down()
    archive = engine("volume", "create", f"{FAULTS}-archive")
    folder = engine("volume", "inspect", "--format", "{{.Mountpoint}}", archive)
    options = f"size={ARCHIVE_MEGABYTES}m,uid=10001,gid=10001"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    Fakes.give_addresses(stack)
    try:
        stack.up()
        yield stack
    finally:
        Fakes(stack).stop()
        stack.stop()
        subprocess.run(["umount", folder], check=True)
        stack.down()


@pytest.fixture(scope="module")
def fakes(faults: RunningStack) -> Fakes:
    """Slack and PagerDuty, reached by the stack's watcher."""
    assert engine("images", "--quiet", image("tasks")), "run `make images` first"
    fakes = Fakes(faults)
    fakes.start()
    return fakes
