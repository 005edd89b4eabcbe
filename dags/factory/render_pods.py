"""Writes the pod manifest of every task of every flow to a folder, for review: `python -m dags.factory.render_pods`.

Templates stand as they are: Airflow fills them in when a task runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from airflow.dag_processing.dagbag import DagBag
from kubernetes.client import ApiClient

from dags.factory.pod_task import PodTask

FLOWS = Path(__file__).parents[1]


def pod_manifests(flows: DagBag) -> Iterator[tuple[str, dict[str, Any]]]:
    """``flow/task`` and its pod, as the API server would be asked for it, of every task that is a pod."""
    for dag_id, dag in sorted(flows.dags.items()):
        for task in sorted(dag.tasks, key=lambda each: str(each.task_id)):
            if isinstance(task, PodTask):
                run = task.pod_run()
                run.random_name_suffix = False
                run.labels.update(task.labels)
                pod = run.build_pod_request_obj(dry_run=True)
                yield f"{dag_id}/{task.task_id}", ApiClient().sanitize_for_serialization(pod)


def write_manifests(flows: DagBag, folder: Path) -> list[Path]:
    """Write ``folder/flow/task.yaml`` for every pod; return the files."""
    files: list[Path] = []
    for name, manifest in pod_manifests(flows):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), encoding="utf-8")
        files.append(file)
    return files


def main(words: list[str]) -> int:
    """Render the flows CONFIG_ROOT and SERVICE_ENV configure; 0 if there are pods and no flow is broken."""
    if len(words) != 1:
        sys.stderr.write("usage: python -m dags.factory.render_pods FOLDER\n")
        return 2
    flows = DagBag(str(FLOWS))
    for file, error in flows.import_errors.items():
        sys.stderr.write(f"{file}: {error}\n")
    if flows.import_errors:
        return 1
    files = write_manifests(flows, Path(words[0]))
    sys.stdout.write("".join(f"{file}\n" for file in files))
    if not files:
        sys.stderr.write("no task is a pod: environment.yaml names another runner than kubernetes\n")
    return 0 if files else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
