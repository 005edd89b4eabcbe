"""`python -m bench [NAME …]`: a table, and one last line of JSON {name: {value, unit, against: {peer: ratio}}}."""

from __future__ import annotations

import argparse
import importlib
import json

from bench.measurement import Measurement

BENCHES = ("features", "feature_memory", "theta", "decision", "retrain")
"""Modules of this package, each with `measure(size) -> list[Measurement]`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed beside well-known peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(BENCHES)}; all unless given")
    parser.add_argument("--bars", type=int, default=1_100_000, help="bars a pair (default: %(default)s)")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(BENCHES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    found: list[Measurement] = []
    for name in chosen.names or BENCHES:
        found += importlib.import_module(f"bench.{name}").measure(chosen.bars)
    width = max(len(measurement.name) for measurement in found)
    for measurement in found:
        ratios = "  ".join(f"{peer} ×{ratio:.1f}" for peer, ratio in measurement.against.items())
        print(f"{measurement.name:<{width}}  {measurement.value:>12.1f} {measurement.unit:<8}  {ratios}".rstrip())
    print(
        json.dumps(
            {
                measurement.name: {
                    "value": round(measurement.value, 3),
                    "unit": measurement.unit,
                    "against": {peer: round(ratio, 2) for peer, ratio in measurement.against.items()},
                }
                for measurement in found
            }
        )
    )


if __name__ == "__main__":
    main()
