"""A model folder that was changed, damaged, forged or written by another version is refused with one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forging import Meta, edited, forged, frame, refused, trained_in

import longtail as lt

skops = pytest.importorskip("skops.io")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_in(tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a JSON document, to those in the middle too."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from leaves(value, (*path, key))


def put(path: tuple[Any, ...], value: Any) -> Callable[[Meta], None]:
    def change(meta: Any) -> None:
        for key in path[:-1]:
            meta = meta[key]
        if value is DELETED:
            del meta[path[-1]]
        else:
            meta[path[-1]] = value

    return change


DELETED = object()


def test_every_change_of_every_value_is_refused(model: Path) -> None:
    whole = (model / "meta.json").read_text()
    meta = json.loads(whole)
    paths = list(leaves(meta))
    assert len(paths) > 30
    for path in paths:
        value = meta
        for key in path:
            value = value[key]
        others = ["x", None, [], value + 1000 if isinstance(value, int) else 1, DELETED]
        others += [value[::-1]] if isinstance(value, list) and value != value[::-1] else []
        for other in others:
            if other == value and type(other) is type(value):
                continue
            (model / "meta.json").write_text(whole)
            edited(model, put(path, other))
            with pytest.raises(ValueError, match=r"was changed since|is damaged|version of longtail") as found:
                lt.load(model)
            assert "\n" not in str(found.value), path
    (model / "meta.json").write_text(whole)
    lt.load(model)


def test_class_names_in_another_order_are_refused_in_one_line(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(model, lambda meta: meta["classes"].reverse())
    said = refused(model, capsys)
    assert "meta.json was changed" in said
    assert "was changed since it was written (its checksum is off); copy the folder again or train the" in said


def test_spacing_and_the_order_of_names_are_no_change(model: Path) -> None:
    before = lt.load(model).predictions(frame()).csv()
    meta = json.loads((model / "meta.json").read_text())
    text = json.dumps(dict(reversed(meta.items())), indent=7, ensure_ascii=False)
    (model / "meta.json").write_text(text, encoding="utf-8")
    assert lt.load(model).predictions(frame()).csv() == before


FORGED: dict[str, tuple[Callable[[Meta], Any], str]] = {
    "no class": (lambda m: m.update(classes=[]), "classes cannot be"),
    "one class less": (lambda m: m["classes"].pop(), "1 class names for a network of 2 classes"),
    "a wider network": (lambda m: m["network"].update(num_classes=1002), "2 class names for a network of 1002 classes"),
    "both wider": (
        lambda m: (m["network"].update(num_classes=3), m["classes"].append("z")), "3 class names, 2 class counts",
    ),
    "no number of classes": (lambda m: m["network"].pop("num_classes"), "for a network of None classes"),
    "a network of text": (lambda m: m.update(network="x"), "network cannot be 'x'"),
    "no name of the network": (lambda m: m["network"].pop("name"), "it has no 'name'"),
    "another link": (lambda m: m.update(link="x"), "link cannot be 'x'"),
    "a link of a list": (lambda m: m.update(link=[]), "link cannot be"),
    "a scale of nothing": (lambda m: m.update(scale=0), "scale cannot be 0"),
    "a scale that is none": (lambda m: m.update(scale=float("nan")), "NaN is no number"),
    "a scale of truth": (lambda m: m.update(scale=True), "scale cannot be True"),
    "a scale without end": (lambda m: m.update(scale=10**400), "is damaged"),
    "no files": (lambda m: m.update(files={}), "files cannot be"),
    "files of text": (lambda m: m.update(files="x"), "files cannot be"),
    "no preparation file": (lambda m: m["files"].pop("preparation.skops"), "preparation of this model is damaged"),
    "another kind of rows": (lambda m: m["preparation"].update(kind="shell"), "table, images, backbone or features"),
    "another rule": (lambda m: m.update(posthoc="eval"), "post-hoc rule must be one of"),
    "a file elsewhere": (lambda m: m["files"].update({"../../etc/passwd": "0"}), "which is not in the folder"),
    "the folder above": (lambda m: m["files"].update({"..": "0"}), r"\.\. in .* cannot be read"),
    "a name no file has": (lambda m: m["files"].update({"a\0": "0"}), "cannot be read"),
    "a file that is not there": (lambda m: m["files"].update({"x": "0"}), r"no whole model \(x is missing\); copy the"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "line"), FORGED.values(), ids=FORGED.keys())
def test_what_does_not_fit_is_refused_with_every_checksum_in_order(
    model: Path, change: Callable[[Meta], Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forged(model)
    lt.load(model)
    forged(model, change)
    with pytest.raises(ValueError, match=line):
        lt.load(model)
    refused(model, capsys)


class TestVersions:
    def test_a_newer_one_is_named(self, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        forged(model, lambda meta: meta.update(schema_version=99, longtail="7.1"))
        assert "meta.json was written by a newer version of longtail; update longtail" in refused(model, capsys)

    def test_an_older_one_which_could_be_changed_unnoticed_is_refused(
        self, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        edited(model, lambda meta: (meta.update(schema_version=2), meta.pop("sha256"), meta["classes"].reverse()))
        assert "written by an older version of longtail, without checksums" in (said := refused(model, capsys))
        assert said.endswith("train the model again in a new folder\n")

    @pytest.mark.parametrize("version", [True, "3", None, 3.0])
    def test_what_is_no_version_is_damage(self, model: Path, version: Any) -> None:
        forged(model, lambda meta: meta.update(schema_version=version))
        with pytest.raises(ValueError, match=r"meta.json is damaged \(schema_version cannot be"):
            lt.load(model)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, "\udcff", '{"schema_version": 3}'])
def test_what_is_no_description_is_one_line(model: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "meta.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(model, capsys)


class TestTheWayOut:
    def test_a_folder_of_runs_names_one_in_it(self, trained: Path, tmp_path: Path) -> None:
        run_folder = Path(shutil.copytree(trained, tmp_path / "runs" / "t" / "logistic-0123abcd" / "seed-0"))
        for folder in (run_folder.parent, run_folder.parents[1], run_folder.parents[2]):
            with pytest.raises(ValueError, match=r"\(meta.json is missing\); name a run inside it, as in .*/seed-0$"):
                lt.load(folder)

    def test_folds_have_no_model_of_all_rows(self, trained: Path, tmp_path: Path) -> None:
        fold = Path(shutil.copytree(trained, tmp_path / "t" / "ce-0123abcd" / "seed-0" / "fold-0"))
        for folder in fold.parents[:3]:
            with pytest.raises(
                ValueError, match=r"the models of folds have each seen a part of the rows; train the one to"
            ):
                lt.load(folder)

    def test_any_other_folder_says_what_to_name(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"name the folder that longtail train wrote \(its --out\), or a run of a"):
            lt.load(tmp_path)
