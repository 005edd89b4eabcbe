"""Writes the pod of every task of every flow to a folder, for review, and the pools Airflow needs for them.

`python -m dags.factory.render_pods FOLDER`. Templates stand as they are: Airflow fills them in when a task runs.
`airflow pools import FOLDER/pools.json` makes the pools.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from airflow.dag_processing.dagbag import DagBag
from kubernetes.client import ApiClient

from core.config.environment import Pools
from dags.factory.flow import Flow
from dags.factory.pod_task import PodTask

FLOWS: Final = Path(__file__).parents[1]
POOLS: Final = "pools.json"


def pod_manifests(flows: DagBag) -> Iterator[tuple[str, dict[str, Any]]]:
    """``flow/task`` and its pod, as the API server would be asked for it, of every task that is a pod.

    The k-th part of a mapped task is ``flow/task-k``.
    """
    for dag_id, dag in sorted(flows.dags.items()):
        for task in sorted(dag.tasks, key=lambda each: str(each.task_id)):
            for name, pod_task in _pod_tasks(task):
                run = pod_task.pod_run()
                run.random_name_suffix = False
                run.labels.update(pod_task.labels)
                pod = run.build_pod_request_obj(dry_run=True)
                yield f"{dag_id}/{name}", ApiClient().sanitize_for_serialization(pod)


def _pod_tasks(task: Any) -> Iterator[tuple[str, PodTask]]:
    """The task itself, or each part of a mapped one, under the name it is shown by; nothing where it is no pod."""
    if isinstance(task, PodTask):
        yield task.task_id, task
    elif task.is_mapped and issubclass(task.operator_class, PodTask):
        for part, command in enumerate(task.expand_input.value["command"], 1):
            yield f"{task.task_id}-{part}", task.unmap({"command": command})


def write_manifests(flows: DagBag, folder: Path) -> list[Path]:
    """Write ``folder/flow/task.yaml`` for every pod; return the files."""
    files: list[Path] = []
    for name, manifest in pod_manifests(flows):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), encoding="utf-8")
        files.append(file)
    return files


def write_pools(pools: Pools, folder: Path) -> Path:
    """Write the pools in the form `airflow pools import` reads; return the file."""
    content = {
        pool.name: {"slots": pool.slots, "description": "environment.yaml, pools", "include_deferred": False}
        for _, pool in pools
    }
    file = folder / POOLS
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return file


def main(words: list[str]) -> int:
    """Render what CONFIG_ROOT and SERVICE_ENV configure; 0 if there are pods and no flow is broken."""
    if len(words) != 1:
        sys.stderr.write("usage: python -m dags.factory.render_pods FOLDER\n")
        return 2
    flows = DagBag(str(FLOWS))
    for file, error in flows.import_errors.items():
        sys.stderr.write(f"{file}: {error}\n")
    if flows.import_errors:
        return 1
    folder = Path(words[0])
    files = write_manifests(flows, folder)
    if not files:
        sys.stderr.write("no task is a pod: environment.yaml names another runner than kubernetes\n")
        return 1
    files.append(write_pools(Flow.from_environment().settings.environment.pools, folder))
    sys.stdout.write("".join(f"{file}\n" for file in files))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
