"""An exported model as a file, ONNX or torch's .pt2, and beside it JSON that says what is in it and what is not."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtail.facts import files
from longtail.facts.messages import quoted
from longtail.posthoc import TemperatureScaling
from longtail.runs.exported import OUTPUTS, Exported
from longtail.runs.predictor import Predictor
from longtail.version import __version__

SUFFIXES = (".onnx", ".pt2")
OUTSIDE = {
    "images": "decoding, EXIF orientation, conversion to RGB and resizing of images to this size",
    "table": "reading a table's columns into these numbers (filling of empty cells, codes of categories)",
    "backbone": "the backbone, its preprocessing and the decoding of images: inputs are its features",
    "features": "reading arrays",
    None: "whatever made the tensors that the model was trained on",
}
"""Kind of the preparation -> what is not in the file."""


def check_target(path: str | Path) -> Path:
    """Return the path of a file that `write` can write.

    Raises:
        ValueError: another ending, or a folder.
        ModuleNotFoundError: .onnx without longtail[onnx].
    """
    target = Path(path)
    if target.suffix not in SUFFIXES or target.is_dir():
        raise ValueError(
            f"--out must be a file that ends in {' or '.join(SUFFIXES)}, got {quoted(str(path))}; in Python, "
            "lt.export(folder) returns the module itself"
        )
    for package in ("onnx", "onnxscript") if target.suffix == ".onnx" else ():
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"writing .onnx needs {package}; install longtail[onnx], or write .pt2")
    return target


def write(predictor: Predictor, path: str | Path, target_prior: Any = None) -> dict[str, Any]:
    """Write a model as .onnx or .pt2, and `<path>.json`; return the content of the latter.

    Raises:
        ValueError: a model that cannot be exported, or a path that cannot be written; the line says why.
        ModuleNotFoundError: .onnx without longtail[onnx].
    """
    target = check_target(path)
    if not isinstance(predictor.calibration, TemperatureScaling | None):
        raise ValueError(
            f"the model is calibrated by {type(predictor.calibration).__name__}, which depends on values and is in no "
            "file; use lt.export(folder), the module itself, in Python, or train with --calibrate temperature"
        )
    module = Exported(predictor, target_prior, float32=True)
    example = example_inputs(predictor)
    data = (_onnx if target.suffix == ".onnx" else _pt2)(module, example)
    described = description(predictor, module, example, target.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(target, data)
    files.write_json(target.with_name(target.name + ".json"), described)
    return described


def example_inputs(predictor: Predictor) -> Tensor:
    """Return two rows (2, ...) of zeros as the model takes them.

    Raises:
        ValueError: a network that does not say what it takes.
    """
    builder = getattr(predictor.network, "builder", None) or {}
    if "input_shape" not in builder:
        raise ValueError(
            "the network does not say what shape its inputs have, so it cannot be traced; in Python, trace "
            "lt.export(...) with inputs of your own"
        )
    kind = getattr(predictor.preparation, "kind", None)
    integer = kind == "images" or getattr(predictor.preparation, "dtype", "") == "uint8"
    return torch.zeros(2, *builder["input_shape"], dtype=torch.uint8 if integer else torch.float32)


def description(predictor: Predictor, module: Exported, example: Tensor, suffix: str) -> dict[str, Any]:
    """Return what a user of the file must know: classes, inputs, outputs, what is in it and what is not."""
    kind, dtype = getattr(predictor.preparation, "kind", None), str(example.dtype).removeprefix("torch.")
    inside = ["standardisation of the inputs", "the network in evaluation mode"]
    if example.dtype == torch.uint8:
        inside.insert(0, "division of pixels by 255")
    inside += [f"the scale {predictor.scale:g}"] * (predictor.scale != 1) + [f"the prior: {module.prior}"]
    inside += ["calibration"] * (module.calibration is not None) + [f"the rule: {module.rule}"]
    precision = getattr(predictor.network, "precision", "float32")
    notes = []
    if precision != "float32":
        notes = [f"computed in float32; longtail predict computes this network in {precision}, which rounds more"]
    return {
        "longtail": __version__,
        "torch": torch.__version__,
        "format": suffix.removeprefix("."),
        "classes": list(predictor.classes),
        "inputs": {"name": "inputs", "shape": ["batch", *example.shape[1:]], "dtype": dtype},
        "outputs": [{"name": name, "shape": ["batch", len(predictor.classes)], "dtype": "float32"} for name in OUTPUTS],
        "decision": f"the class of the largest of `scores`: {module.rule}",
        "prior": module.prior,
        "in_the_file": inside,
        "not_in_the_file": [OUTSIDE.get(kind, OUTSIDE[None])],
        "preparation": None if predictor.preparation is None else predictor.preparation.to_json(),
        "prepare": "longtail.load(<model folder>).prepared(rows) makes these inputs of raw rows",
        "notes": notes,
    }


def _traced(module: Exported, example: Tensor) -> Any:
    try:
        batch = torch.export.Dim("batch", min=1)
        return torch.export.export(module.cpu(), (example,), dynamic_shapes=({0: batch},))
    except Exception as error:  # whatever the code of a network or its tracing raises
        raise _refused(error) from None


def _pt2(module: Exported, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(_traced(module, example), buffer)
    return buffer.getvalue()


def _onnx(module: Exported, example: Tensor) -> bytes:
    with _quiet(), tempfile.TemporaryDirectory(prefix="longtail-") as place:
        program = _traced(module, example)
        try:
            made = torch.onnx.export(
                program, input_names=["inputs"], output_names=list(OUTPUTS), dynamo=True, verbose=False
            )
            assert made is not None
            path = Path(place) / "model.onnx"
            made.save(str(path), external_data=False)
        except Exception as error:  # an operator without a translation has many types
            raise _refused(error) from None
        return path.read_bytes()


def _refused(error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return ValueError(
        f"the model cannot be exported as a graph ({reason}); use lt.export(folder), the module itself, in Python"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn of what concerns their own code."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)
