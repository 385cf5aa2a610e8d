"""Keep a finished comparison as a committed result: its table, its numbers, the machine and the command.

    python -m benchmarks.keep runs/digits benchmarks/results/stages/digits -- longtail compare digits --seeds 5

Writes <to>.md and <to>.json. The command is the one that made the folder; of the versions, those of this process.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from benchmarks.machine import facts

KEPT = (
    "data", "recipe", "metric", "reference", "seeds", "folds", "failed", "missing", "verdict", "twins", "retraining",
    "question", "tuned",
)  # fmt: skip
ROW = (
    "method", "mean", "std", "difference", "twin", "recall", "epochs", "search", "seconds", "probes", "features",
    "metrics", "wrong_labels",
)  # fmt: skip


def main(arguments: list[str]) -> None:
    """Read the folder, and write both files."""
    folder, to, dashes, *command = arguments
    if dashes != "--" or not command:
        raise SystemExit(__doc__)
    summary = json.loads((Path(folder) / "comparison.json").read_text())
    rows = [{name: row[name] for name in ROW if name in row} for row in summary["rows"]]
    kept = {name: summary.get(name) for name in KEPT}
    content = {"machine": {**facts(), "command": shlex.join(command)}, **kept, "rows": rows}
    Path(to).parent.mkdir(parents=True, exist_ok=True)
    Path(f"{to}.json").write_text(json.dumps(content, indent=1) + "\n")
    Path(f"{to}.md").write_text((Path(folder) / "comparison.md").read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
