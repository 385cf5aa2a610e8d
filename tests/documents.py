"""The parts of README and docs made from code and committed results: `python -m tests.documents` writes them anew."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

from benchmarks.updates import PLAIN, THEORY
from tests import encoder_tables, gpu_tables, published_page
from tests.losses.contract import support_tables

from longtail.catalogue.describe import table
from longtail.methods import overview

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def losses_large() -> str:
    """Time and memory beside F.cross_entropy at (1024, 8142), as committed."""
    found = json.loads((RESULTS / "losses-cpu.json").read_text())["(1024, 8142)"]
    lines = ["| (1024, 8142) | ratio | ratio of the fastest rounds | peak MB | kept MB |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {name} | {r['ratio']:.2f} | {r['min_ratio']:.2f} | {r['peak_mb']:.0f} | {r['kept_mb']:.0f} |"
        for name, r in found.items()
    ]
    return "\n".join(lines)


def losses_small() -> str:
    """Milliseconds beside F.cross_entropy at (128, 100), as committed."""
    found = json.loads((RESULTS / "losses-cpu.json").read_text())["(128, 100)"]
    lines = ["| (128, 100) | ms | ms more than F.cross_entropy |", "|---|---:|---:|"]
    lines += [f"| {name} | {r['ms']:.3f} | {r['extra_ms']:+.3f} |" for name, r in found.items()]
    return "\n".join(lines)


def loss_calls() -> str:
    """Operations of a loss: before it was reduced by torch's own kernel, now, and by the kernels of a GPU."""
    files = ("loss-calls-before", "loss-calls", "loss-calls-kernels")
    kinds = [json.loads((RESULTS / f"{name}.json").read_text())["losses"] for name in files]
    lines = [
        "| (128, 10), started forward + backward | before | operations | kernels of a GPU |",
        "|---|---:|---:|---:|",
    ]
    for name in kinds[1]:
        if not name.endswith(("with its losses", "all kept")):
            rows = (kind.get(name) for kind in kinds)
            lines.append(
                f"| {name} | " + " | ".join(f"{r['forward']} + {r['backward']}" if r else "" for r in rows) + " |"
            )
    return "\n".join(lines)


def loss_python() -> str:
    """What a loss takes on the CPU before a GPU has anything to do, as committed."""
    found = json.loads((RESULTS / "loss-python.json").read_text())
    lines = ["| microseconds, forward and backward, nothing started | kernels | operations |", "|---|---:|---:|"]
    for name, row in found["by_operations"].items():
        kernels = "" if name.startswith("F.") else round(found["by_kernels"][name]["both"])
        lines.append(f"| {name} | {kernels} | {row['both']:.0f} |")
    return "\n".join(lines)


def samplers() -> str:
    """Set-up and draw at 50 million rows, as committed."""
    found = json.loads((RESULTS / "sampling.json").read_text())["50000000"]
    lines = ["| 50 M rows | set-up s | first row s | whole draw s | held MB |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {name} | {r['setup_s']:.2f} | {r['first_row_s']:.3f} | {r['draw_s']:.1f} | {r['held_mb']:.0f} |"
        for name, r in found.items()
    ]
    return "\n".join(lines)


def train_step() -> str:
    """ResNet-32 steps beside ours, as committed."""
    found = json.loads((RESULTS / "train-step-cpu.json").read_text())["variants"]
    lines = ["| step | ms | images/s | time beside ours |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {r['ms']:.0f} | {r['images_per_second']:.0f} | {r['time_beside_ours']:.2f} |"
        for name, r in found.items()
    ]
    return "\n".join(lines)


def updates() -> str:
    """Other kinds of steps beside the plain one, as committed."""
    measured = json.loads((RESULTS / "updates-cpu.json").read_text())["variants"]
    lines = [
        "| step | time beside plain | 95 % interval | in theory | peak memory |",
        "|---|---:|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {r['ratio']:.2f} |"
        f" {r['low']:.2f}, {r['high']:.2f} | {THEORY[name]:.2f} | {r['memory_ratio']:.2f} |"
        for name, r in measured.items()
        if name != PLAIN
    ]
    return "\n".join(lines)


def small_data() -> str:
    """A training of 215 rows, as committed."""
    result = json.loads((RESULTS / "small-data.json").read_text())
    lines = ["| a training of ce on 215 rows | seconds |", "|---|---:|"]
    lines += [f"| {name} | {seconds:.2f} |" for name, seconds in result["seconds of a training"].items()]
    lines += ["", "| a step of bare torch | ms for each network |", "|---|---:|"]
    lines += [f"| {name} | {ms:.2f} |" for name, ms in result["milliseconds of a step of bare torch"].items()]
    return "\n".join(lines)


def reading_images() -> str:
    """A folder of images read as `compare` does, as committed."""
    found = json.loads((RESULTS / "data-images.json").read_text())["images"]
    lines = [f"| {found['images']:,} images | seconds | peak MiB | bound MiB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {r['seconds']:.1f} | {r['peak_mib']} | {r['bound_mib']} |" for name, r in found["readings"].items()
    ]
    return "\n".join(lines)


def comparing_a_table() -> str:
    """`compare --methods quick` on a large table, as committed."""
    found = json.loads((RESULTS / "data-table.json").read_text())["table"]
    size = f"{found['rows']:,} rows x {found['columns']} columns"
    lines = [f"| {size} | seconds |", "|---|---:|", f"| `{found['command']}`, all of it | {found['seconds']:.0f} |"]
    slowest = max(found["methods"].items(), key=lambda item: item[1]["seconds_a_run"])
    lines.append(
        f"| the slowest of its {len(found['methods'])} runs, {slowest[0]} | {slowest[1]['seconds_a_run']:.0f} |"
    )
    return "\n".join(lines)


def unlabelled_memory() -> str:
    """Peak memory with many rows without labels, as committed."""
    found = json.loads((RESULTS / "unlabelled-memory.json").read_text())
    few, many = (f"{size:,}" for size in found["sizes"])
    lines = [
        f"| | classes | peak MiB, {few} rows | peak MiB, {many} rows | bytes for each further row |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in found["rows"]:
        name = "the data, nothing trained" if row["method"] == "data" else f"`{row['method']}`"
        peaks = " | ".join(f"{peak:.0f}" for peak in row["peak_mib"])
        lines.append(f"| {name} | {row['classes']} | {peaks} | {row['bytes_per_row']:,} |")
    return "\n".join(lines)


def precision() -> str:
    """Scores in half precision beside float32's, as committed."""
    found = json.loads((RESULTS / "precision-digits.json").read_text())
    lines = [
        f"| digits, {found['seeds']} seeds | float32 | std over seeds | bfloat16 | float16 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, r in found["methods"].items():
        cells = [
            f"{r[f'{half}_difference']:+.2f} ± {r[f'{half}_standard_error']:.2f}" for half in ("bfloat16", "float16")
        ]
        lines.append(f"| {name} | {r['float32']:.1f} | {r['seeds_std']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def deferral(part: str) -> str:
    """Balanced accuracy under each course of the learning rate, as committed; (predictions other than ce's)."""
    data = json.loads((RESULTS / f"deferral-{part}.json").read_text())["data"]
    methods = list(next(iter(next(iter(data.values())).values()))["methods"])
    lines = ["| data | learning rate | " + " | ".join(methods) + " |", "|---|---|" + "---:|" * len(methods)]
    for name, courses in data.items():
        for course, measured in courses.items():
            cells = []
            for method in methods:
                row = measured["methods"][method]
                mean, other = (sum(row[k]) / len(row[k]) for k in ("balanced_accuracy", "differ"))
                cells.append(f"{100 * mean:.1f}" + ("" if method == "ce" else f" ({other:.0f})"))
            lines.append(f"| {name}, {measured['rows']} | {course} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


GENERATED = {
    ("README.md", "methods"): lambda: table(overview()),
    ("docs/losses-support.md", "support"): support_tables,
    ("docs/performance.md", "losses-large"): losses_large,
    ("docs/performance.md", "losses-small"): losses_small,
    ("docs/performance.md", "loss-calls"): loss_calls,
    ("docs/performance.md", "loss-python"): loss_python,
    ("docs/performance.md", "samplers"): samplers,
    ("docs/performance.md", "train-step"): train_step,
    ("docs/performance.md", "encoder-step"): encoder_tables.step,
    ("docs/performance.md", "encoder-view"): encoder_tables.view,
    ("docs/performance.md", "encoder-peers"): encoder_tables.peers,
    ("docs/performance.md", "updates"): updates,
    ("docs/performance.md", "small-data"): small_data,
    ("docs/performance.md", "unlabelled-memory"): unlabelled_memory,
    ("docs/performance.md", "precision"): precision,
    ("docs/performance.md", "gpu"): gpu_tables.measured,
    ("docs/performance.md", "reading-images"): reading_images,
    ("docs/performance.md", "comparing-a-table"): comparing_a_table,
    ("docs/published.md", "protocols"): published_page.protocols,
    ("docs/published.md", "numbers"): published_page.numbers,
    ("docs/decisions/0014-deferral.md", "deferral-choose"): partial(deferral, "choose"),
    ("docs/decisions/0014-deferral.md", "deferral-test"): partial(deferral, "test"),
}


def block(text: str, name: str) -> str:
    """What stands between <!-- name --> and <!-- /name -->."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found is not None, f"no block {name}"
    return found[1]


def written(text: str, name: str, content: str) -> str:
    """The text with a block's content replaced."""
    block(text, name)
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda m: f"{m[1]}{content.rstrip()}\n{m[2]}", text, flags=re.DOTALL)


def main() -> None:
    for (file, name), make in GENERATED.items():
        path = ROOT / file
        path.write_text(written(path.read_text(), name, make()))


if __name__ == "__main__":
    main()
