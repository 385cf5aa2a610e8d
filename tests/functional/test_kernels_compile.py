"""The kernels compile for a GPU, without one: Triton's interpreter accepts more than its compiler does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed"),
]
COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from longtail.functional import launch
from longtail.functional.kernels import parts, sigmoid, softmax

options = {"FACTORS": 2, "FOCAL": True, "REDUCE": launch.BY_WEIGHTS, "ALONE": False, "MEAN": True}
options |= {"ROWS": 4, "BLOCK": 1024}
for kernel in (softmax.forward, softmax.backward, sigmoid.forward, sigmoid.backward, parts.finish):
    types, constants = {}, {}
    for i, name in enumerate(kernel.arg_names):
        if name in options:
            types[name], constants[i,] = "constexpr", options[name]
        elif name.endswith("_ptr"):
            narrow = name == "z_ptr" or name == "out_ptr"
            types[name] = "*i64" if name == "y_ptr" else "*bf16" if narrow else "*fp32"
        else:
            types[name] = "fp32" if name in ("factor", "gamma") else "i32"
    source = ASTSource(kernel, types, constants)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4, **launch.OPTIONS})
    print(kernel.__module__, kernel.__name__, len(made.asm["cubin"]))
"""


def test_every_kernel_compiles_for_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    lines = [line.split() for line in out.stdout.splitlines()]
    assert len(lines) == 5
    assert all(int(size) > 0 for *_, size in lines)
