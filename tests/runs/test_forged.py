"""Model files made by hand, with every checksum in order: refused with one line, and nothing in them is executed."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import forged, refused, trained_in

skops = pytest.importorskip("skops.io")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_in(tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


RAN: list[str] = []


def leave(trace: str) -> None:
    RAN.append(trace)


class Foreign:
    """Somebody else's class; building it, restoring it or opening its pickle leaves a trace."""

    def __setstate__(self, state: Any) -> None:
        RAN.append("restored")

    def __reduce__(self) -> Any:
        return leave, ("unpickled",)


def with_type(data: bytes, loader: str, module: str, name: str) -> bytes:
    """The archive with its outermost object said to be of another type."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    schema = json.loads(content["schema.json"])
    schema.update(__loader__=loader, __module__=module, __class__=name)
    content["schema.json"] = json.dumps(schema).encode()
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, text in content.items():
            archive.writestr(entry, text)
    return out.getvalue()


class TestNothingIsExecuted:
    @pytest.mark.parametrize(
        ("loader", "module", "name"),
        [
            ("ObjectNode", "test_forged", "Foreign"),
            ("ObjectNode", "sklearn.gaussian_process._gpc", "GaussianProcessClassifier"),
            ("FunctionNode", "os", "system"),
            ("TypeNode", "builtins", "eval"),
            ("MethodNode", "sklearn.compose._column_transformer", "ColumnTransformer"),
            ("OperatorFuncNode", "operator", "methodcaller"),
        ],
    )
    def test_a_type_outside_the_closed_list(
        self, model: Path, loader: str, module: str, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        RAN.clear()
        whole = (model / "preparation.skops").read_bytes()
        forged(model, preparation_skops=with_type(whole, loader, module, name))
        said = refused(model, capsys)
        assert f"the table preparation must be made of trusted types, got {module}.{name} ({loader})" in said
        assert "nothing of it was executed" in said
        assert not RAN

    def test_an_object_of_somebody_else_as_skops_writes_it(
        self, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        RAN.clear()
        data = skops.dumps({"a": Foreign()})
        RAN.clear()
        forged(model, preparation_skops=data)
        assert "must be made of trusted types, got test_forged.Foreign" in refused(model, capsys)
        assert not RAN

    @pytest.mark.parametrize("name", ["preparation_skops", "model_safetensors"])
    def test_a_pickle(self, model: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        RAN.clear()
        data = pickle.dumps(Foreign())
        forged(model, **{name: data})
        assert "is damaged (" in refused(model, capsys)
        assert not RAN
        (model / name.replace("_", ".")).write_bytes(data + b"changed")
        assert "was changed since the model was saved" in refused(model, capsys)
        assert not RAN
        pickle.loads(data)
        assert RAN == ["unpickled"]  # it would have been seen

    def test_another_trusted_object_is_not_the_preparation(
        self, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from sklearn.preprocessing import StandardScaler

        from longtail.facts import trusted

        forged(model, preparation_skops=trusted.dumps(StandardScaler().fit(np.eye(3))))
        assert "does not fit its description" in refused(model, capsys)
