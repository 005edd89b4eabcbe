"""`python -m compose images|up|down|logs|status|trigger`: the containers of docker-compose.yaml."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

from compose.configuration import OWN_TREE
from compose.engine import compose, require_engine
from compose.images import DOCKERFILES, build, images_of
from compose.lifecycle import bring_down, bring_up, describe
from compose.stack import Ports, Stack, Storage
from compose.trigger import trigger
from core.errors import CoreError

_EXAMPLES = """examples:
  python -m compose up --stack ml-assets-core --home .stack
  python -m compose up --metrics --prometheus-port 9091
  python -m compose trigger --flow core_retrain_flow --conf '{"reason": "first run"}' --follow
  python -m compose down --delete --dry-run
"""


def main(words: list[str]) -> int:
    """Do what the words ask for. Returns the exit code."""
    given = _parser().parse_args(words)
    ports = Ports(given.port, given.metrics_port, given.prometheus_port, given.grafana_port)
    stack = Stack.named(
        given.stack,
        given.home,
        ports,
        environment=given.environment,
        scale=given.scale,
        metrics=given.metrics,
        storage=given.storage,
    )
    require_engine()
    if given.action == "images":
        build(given.only or images_of(stack), _say)
    elif given.action == "up":
        bring_up(stack, given.config, _say)
    elif given.action == "down":
        bring_down(stack, _say, delete=given.delete, dry_run=given.dry_run)
    elif given.action == "logs":
        compose(["logs", "--follow", "--tail", "100", *given.service], stack.variables())
    elif given.action == "status":
        describe(stack, _say)
    else:
        return trigger(stack, given.flow, given.conf, _say, follow=given.follow)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m compose",
        description="Builds, starts, follows and stops the containers of docker-compose.yaml.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stack", default="ml-assets-core", help="name of the stack on this engine")
    common.add_argument("--home", type=Path, default=Path(".stack"), help="folder of its secrets and configuration")
    common.add_argument("--port", type=int, default=8080, help="where Airflow is served on this machine")
    common.add_argument("--metrics-port", type=int, default=9464, help="where the metrics are served on this machine")
    common.add_argument("--metrics", action="store_true", help="a Prometheus and a Grafana that keep and show them")
    common.add_argument("--prometheus-port", type=int, default=9090, help="where that Prometheus is on this machine")
    common.add_argument("--grafana-port", type=int, default=3000, help="where that Grafana is on this machine")
    common.add_argument("--environment", choices=["dev", "stg", "prod"], help="SERVICE_ENV of a new stack; it keeps it")
    common.add_argument("--scale", action="store_true", help="two Celery workers instead of the scheduler's processes")
    common.add_argument("--storage", choices=get_args(Storage), default="local", help="a volume, or the secrets' store")
    actions = parser.add_subparsers(dest="action", required=True)
    images = actions.add_parser("images", parents=[common], help="build the images and say how large they are")
    images.add_argument("--only", action="append", choices=list(DOCKERFILES), help="this image only; may be repeated")
    up = actions.add_parser("up", parents=[common], help="start everything and wait until it is healthy")
    up.add_argument("--config", type=Path, default=OWN_TREE, help="configuration tree: base/ and envs/")
    down = actions.add_parser("down", parents=[common], help="stop everything; data stays unless --delete")
    down.add_argument("--delete", action="store_true", help="delete the volumes too: lake, models, databases")
    down.add_argument("--dry-run", action="store_true", help="say what would be stopped and deleted")
    logs = actions.add_parser("logs", parents=[common], help="follow the services' logs")
    logs.add_argument("service", nargs="*", help="these services only")
    actions.add_parser("status", parents=[common], help="what runs and how it is")
    run = actions.add_parser("trigger", parents=[common], help="start a flow through Airflow's REST API")
    run.add_argument("--flow", default="core_retrain_flow", help="which flow")
    run.add_argument("--conf", type=json.loads, default={}, help="its parameters as a JSON object")
    run.add_argument("--follow", action="store_true", help="wait for the chain's end; the last line is its result")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
