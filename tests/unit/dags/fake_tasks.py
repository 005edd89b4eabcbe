"""A stand-in for the tasks: the same command line, seconds instead of minutes, and failures on demand."""

from __future__ import annotations

from pathlib import Path

_MAIN = """
import json, os, pathlib, signal, sys, time

words = sys.argv[1:]
options = dict(word[2:].split("=", 1) for word in words if "=" in word)
name = next((word for word in words if not word.startswith("--") and "/" not in word), "")
archive = pathlib.Path(os.environ["ARCHIVE_PATH"])
calls = archive / "calls"
calls.mkdir(parents=True, exist_ok=True)
(calls / f"{time.time_ns()}.json").write_text(json.dumps({"name": name, "words": words}))
sys.stderr.write(json.dumps({"event": "started", "level": "info", "task": name}) + "\\n")
sys.stderr.write(json.dumps({"event": "odd", "level": "warning"}) + "\\n")

part = options.get("name") or options.get("shard", "").replace("/", "of")
behaviour = archive / f"{name}-{part}.behaviour"
if not behaviour.exists():
    behaviour = archive / f"{name}.behaviour"
how = behaviour.read_text() if behaviour.exists() else ""
run_dir = archive / "runs" / "20240101_0000_0123abcd"
outputs = {}
if name == "gate":
    outputs = {"gate": part, "run_id": run_dir.name, "report": f"runs/{run_dir.name}/gates/{part}/index.html"}
if how == "needs an approver" and not {"--dry-run"} & set(words) and "approved-by" not in options:
    how = "exit 11"
if how.startswith("exit "):
    code = int(how.split()[1])
    error = {"code": "TEST_FAKE_FAILURE", "message": "it was told to fail", "where": name, "remedy": "tell it not to"}
    print(json.dumps({"task": name, "status": "failed", "outputs": outputs, "metrics": {}, "error": error}))
    sys.exit(code)
if how == "rattle":
    sys.stderr.write("\\x1b[31m" + "x" * 150_000 + "\\x07 the end")
    sys.exit(20)
if how == "die once":
    behaviour.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
if how == "sleep":
    time.sleep(600)

metrics = {}
if name == "catalog":
    outputs = {"run_id": run_dir.name, "model_version": run_dir.name, "as_of": "2024-01-01T00:00:00+00:00",
               "run_dir": str(run_dir), "n_bars": 1000, "n_pairs": 2}
if name == "theta":
    (run_dir / "theta").mkdir(parents=True, exist_ok=True)
    (run_dir / "theta" / "verdict.json").write_text(json.dumps({
        "model_version": run_dir.name, "status": "approved", "reasons": ["all limits hold"], "sharpe": 2.5,
        "max_drawdown": 0.04, "trades_per_year": 200.0, "n_pairs": 2, "n_bars": 1000}))
    outputs = {"status": "approved"}
if name == "report":
    outputs = {"report": str(run_dir / "report" / "report.html")}
if name == "publish":
    status = "rejected" if how == "rejected" else "deployed"
    outputs = {"status": f"would be {status}" if "--dry-run" in words else status, "reasons": ["all limits hold"]}
    metrics = {"sharpe": 2.5, "max_drawdown": 0.04, "trades_per_year": 200.0}
if name == "publish" and "--dry-run" not in words:
    (run_dir / "publish").mkdir(parents=True, exist_ok=True)
    (run_dir / "publish" / "result.json").write_text(json.dumps(outputs))
if name == "infer":
    (run_dir / "signal.json").write_text(json.dumps({"signal": {"id": "abc"}, "reason": None}))
print("noise before the last line")
print(json.dumps({"task": name, "status": "done", "outputs": outputs, "metrics": metrics}))
"""


def write_fake_tasks(folder: Path) -> Path:
    """Write the package `tasks` below `folder`, which then goes first on PYTHONPATH."""
    package = folder / "tasks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_MAIN)
    return folder
