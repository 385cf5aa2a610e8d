"""The pictures of one run, written into its folder: class weights, what a weight net learned, an estimated prior."""

from __future__ import annotations

from pathlib import Path

from longtail.facts import json_documents
from longtail.facts.files import write_bytes
from longtail.report import prior_plot, weight_net_plot, weight_plot

WAY_OUT = "run the same command again"


def write_plots(folder: Path) -> list[Path]:
    """Draw a finished run's weights.svg, weight-net.svg and prior.svg. None of what it lacks, or without matplotlib.

    Raises:
        OSError: the folder cannot be written.
    """
    config, lines = folder / "config.json", folder / "metrics.jsonl"
    if not (config.exists() and lines.exists()):  # of folds: the runs are in folders below
        return []
    settings, records = json_documents.read(config, WAY_OUT), json_documents.read_lines(lines, WAY_OUT)
    data = settings["data"]
    title = f"{settings['method']} on {data['name']}, seed {settings['seed']}"
    pictures = {
        "weights.svg": weight_plot.svg(records, data["classes"], data["class_counts"], title),
        "weight-net.svg": weight_net_plot.svg(records, title),
        "prior.svg": prior_plot.svg(records, title),
    }
    return [_written(folder / name, picture) for name, picture in pictures.items() if picture is not None]


def _written(path: Path, picture: str) -> Path:
    content = picture.encode()
    if not (path.exists() and path.read_bytes() == content):  # a finished run may be read-only
        write_bytes(path, content)
    return path
