"""Tasks on two machines create, change and delete files and are killed at any moment: no reader meets half a folder."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.fixtures.s3_server import S3Server
from tests.integration.storage.conftest import open_bucket
from tests.integration.storage.dying import DyingUser, KilledError
from tests.integration.storage.mirrors import LAYOUT, Trees, local, mirror, stored, write

_buckets = itertools.count()
_EVERY = ("get", "put", "list", "delete", "exists")
_FILES = (
    "canonical/1h/EURUSD/2024-01/bars.parquet",
    "canonical/1h/EURUSD/2024-01/__meta.json",
    "canonical/1h/EURUSD/2024-02/bars.parquet",
    "canonical/1h/EURUSD/2024-02/__meta.json",
    "canonical/1h/EURUSDX/2024-02/bars.parquet",
    "models/V/params.yaml",
    "models/V/model.sig",
    "runs/R/run.json",
    "runs/R/train/metrics.json",
    "runs/R/gates/index/index.html",
)
_SCOPES = ("canonical", "canonical/1h/EURUSD", "models", "models/V", "runs/R")
_CONTENTS = (b"", b"one", b"two", b"three")


class Machines(RuleBasedStateMachine):
    server: S3Server
    postgres_url: str

    @initialize()
    def begin(self) -> None:
        bucket = f"states-{next(_buckets)}"
        self.server.make_bucket(bucket)
        self.objects = open_bucket(self.server, bucket)
        self.folder = tempfile.TemporaryDirectory()
        self.published: Trees = {}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(
        machine=st.sampled_from(["a", "b"]),
        scopes=st.lists(st.sampled_from(_SCOPES), min_size=1, max_size=3, unique=True),
        edits=st.dictionaries(st.sampled_from(_FILES), st.sampled_from([None, *_CONTENTS]), max_size=6),
        killed_at=st.one_of(st.none(), st.integers(0, 25)),
        counted=st.sampled_from([_EVERY, ("put", "delete")]),
    )
    def task(
        self,
        machine: str,
        scopes: list[str],
        edits: dict[str, bytes | None],
        killed_at: int | None,
        counted: tuple[str, ...],
    ) -> None:
        """A task pulls, finds what was published, edits, and pushes; killed, it leaves each folder old or new."""
        archive = Path(self.folder.name, machine)
        user = DyingUser(self.objects, killed_at, counted=counted)
        inside = {file: content for file, content in edits.items() if any(file.startswith(f"{s}/") for s in scopes)}
        before = self.published
        after = {tree: dict(files) for tree, files in before.items()}
        for file, content in inside.items():
            tree, name = LAYOUT.split(file)
            after.setdefault(tree, {})[name] = content  # type: ignore[assignment]
        after = {t: kept for t, files in after.items() if (kept := {n: c for n, c in files.items() if c is not None})}
        try:
            task = mirror(archive, user, self.postgres_url)
            for scope in scopes:
                task.pull(scope)
            assert _within(local(archive), scopes) == _within(before, scopes)
            for file, content in inside.items():
                if content is not None:
                    write(archive, file, content)
                else:
                    (archive / file).unlink(missing_ok=True)
            task.push()
        except KilledError:
            found = stored(self.objects)
            for tree in {*before, *after, *found}:
                assert found.get(tree) in (before.get(tree), after.get(tree))
            self.published = found
        else:
            self.published = after

    @invariant()
    def readers_find_what_was_published(self) -> None:
        if hasattr(self, "objects"):
            assert stored(self.objects) == self.published


def _within(trees: Trees, scopes: list[str]) -> Trees:
    return {t: files for t, files in trees.items() if any(t == s or t.startswith(f"{s}/") for s in scopes)}


def test_a_killed_task_leaves_every_folder_old_or_new_and_the_next_one_goes_on(s3: S3Server, storage_url: str) -> None:
    bound = type("Bound", (Machines,), {"server": s3, "postgres_url": storage_url})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=12,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )


@pytest.mark.parametrize("scope", ["keys", "elsewhere/runs"])
def test_a_folder_outside_the_roots_is_never_mirrored(tmp_path: Path, s3: S3Server, bucket: str, scope: str) -> None:
    with pytest.raises(ValueError, match="no mirrored root"):
        mirror(tmp_path, open_bucket(s3, bucket), "postgresql://nobody@127.0.0.1:1/none").pull(scope)
