"""`python -m bench [NAME …]`: a table, and one last line of JSON {name: {value, unit, against: {peer: ratio}}}."""

from __future__ import annotations

import argparse
import importlib
import json

from bench.measurement import Measurement, as_json, table

BENCHES = ("features", "feature_memory", "theta", "decision", "retrain")
"""Modules of this package, each with `measure(size) -> list[Measurement]`."""
ON_REQUEST = ("sharing",)
"""The same, which take longer than all of those together."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed and memory beside well-known peers.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"among {', '.join(BENCHES)}, all of them unless given; or {', '.join(ON_REQUEST)}",
    )
    parser.add_argument("--bars", type=int, default=1_100_000, help="bars a pair (default: %(default)s)")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - {*BENCHES, *ON_REQUEST}
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    found: list[Measurement] = []
    for name in chosen.names or BENCHES:
        found += importlib.import_module(f"bench.{name}").measure(chosen.bars)
    print("\n".join(table(found)))
    print(json.dumps(as_json(found)))


if __name__ == "__main__":
    main()
