"""Former names of modules: `import longtail.X` by a former name imports the same module as its present name.

No name here is that of a present module. Former names are resolved before folders are searched, since a remaining
folder with nothing but old bytecode would be taken for a package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FACTS = (
    "arrays", "checks", "children", "class_weights", "counts", "documents", "groups", "identifiers", "intervals",
    "knobs", "ledger", "places", "profiles", "schedules", "trusted", "types", "wording",
)  # fmt: skip
MOVED = {
    **{name: f"facts.{name}" for name in FACTS},
    "cosine": "models.heads.cosine",
    "decisions": "posthoc.decisions",  # a shorter name, for use
    "heads": "models.heads",
    "models.resnet": "models.bodies.resnet",
    "models.tabular": "models.bodies.tabular",
    "data.examples": "data.rows",
    "data.augment": "data.views",
    "data.arrays": "data.read.arrays",
    "data.files": "data.read.array_files",
    "data.reading": "data.read.dispatch",
    "data.optional": "data.read.optional",
    "data.cache": "data.read.cache",
    "data.cifar": "data.read.cifar",
    "data.images": "data.read.images",
    "data.images.hub": "data.read.hub",
    "data.images.preparation": "data.prepare.images",
    "data.tables": "data.read.tables",
    "data.tables.columns": "data.prepare.columns",
    "data.tables.preparation": "data.prepare.table",
    "data.preparation": "data.prepare.preparation",
    "data.fresh": "data.prepare.fresh",
    "data.options": "data.read.options",
    "data.splitting": "data.split.holdout",
    "data.folds": "data.split.folds",
    "data.grouping": "data.split.grouping",
    "data.limits": "data.split.limits",
    **{
        f"engine.{name}": f"runs.{name}"
        for name in ("run", "saved", "predictor", "predictions", "priors", "finished", "journal", "sources")
    },
    "methods.definition": "catalogue.method",
    "methods.resolve": "catalogue.resolve",
    "methods.spec": "catalogue.spec",
    "methods.implied": "catalogue.implied",
    "methods.references": "catalogue.references",
    "methods.weighing": "catalogue.compose",
    "methods.choose": "catalogue.choose",
    "methods.catalog": "methods.menu",
    **{
        f"methods.{name}": f"methods.supervised.{name}"
        for name in ("plain", "reweighting", "resampling", "deferred", "logit_adjustment")
    },
    "methods.ldam": "methods.margins.ldam",
    "methods.decoupled": "methods.robust.decoupled",
    "methods.abadam": "methods.robust.abadam",
    "methods.classifiers": "methods.estimators.classifiers",
    "methods.train": "runs.train",
    "methods.folds": "runs.folds",
    "methods.outcome": "runs.finish",
    "methods.recipes": "engine.default_recipe",
    **{
        f"comparison.{name}": f"comparison.evidence.{name}"
        for name in ("differences", "layout", "resampling", "unstable", "verdict", "decisions", "tested")
    },
    "comparison.inspection": "inspection",
    # renamed to what they contain
    "methods.menu": "methods.registry",
    "data.prepare.fresh": "data.prepare.new_rows",
    "data.read.tables.settled": "data.read.tables.column_types",
    "data.read.tables.pooling": "data.read.tables.table_pool",
    "data.read.tables.layout": "data.read.tables.dialect",
    "data.read.optional": "data.read.optional_packages",
    "data.read.images.tree": "data.read.images.file_tree",
    "data.read.images.listing": "data.read.images.class_folders",
    "data.read.images.assemble": "data.read.images.labelled_images",
    "data.read.images.features": "data.read.images.embeddings",
    "data.read.images.columns": "data.read.images.metadata_columns",
    "data.read.images.metadata_columns": "data.read.column_roles",
    "data.read.tables.roles": "data.read.column_roles",
    "data.kinds": "data.label_kinds",
    "data.read.images.folder": "data.read.images.image_folder",
    "inspection.telling": "inspection.leakage",
    "inspection.mending": "inspection.repairs",
    "inspection.content": "inspection.duplicates",
    "inspection.view": "inspection.subject",
    "inspection.labels": "inspection.class_names",
    "engine.watch": "engine.epoch_monitor",
    "engine.packing": "engine.state_files",
    "engine.store": "engine.stage_store",
    "engine.memory": "engine.malloc",
    "facts.places": "facts.paths",
    "facts.children": "facts.subprocesses",
    "facts.wording": "facts.messages",
    "facts.documents": "facts.json_documents",
    "runs.finish": "runs.outputs",
    "runs.finished": "runs.manifest",
    "runs.saved": "runs.model_files",
    "runs.folds": "runs.cross_validation",
    "comparison.opening": "comparison.input_data",
    "comparison.cautions": "comparison.data_warnings",
    "comparison.measured": "comparison.ledger_rows",
    "comparison.evidence.tested": "comparison.evidence.recall_intervals",
    "comparison.evidence.unstable": "comparison.evidence.seed_variance",
    "report.thin": "report.small_classes",
    "report.picture": "report.recall_plot",
    "report.bars": "report.class_size_plot",
    "report.weights": "report.weight_plot",
    "report.names": "report.printable",
    "cli.sharing": "cli.option_groups",
    "cli.planned": "cli.plan_output",
    "cli.screen": "cli.comparison_output",
    "functional.fused": "functional.closed_form",
    "losses.hinge": "losses.ldam",
    "losses.rare_margins": "losses.ldam",
    "models.fused": "models.conv_bn_fusion",
    "sampling.order": "sampling.shuffle",
}
"""Former name -> present name of modules and packages, both below `longtail`; a name may have moved twice."""

NAMES = {
    "comparison": {"Outcome": "comparison.execute:TaskResult"},
    "methods": {"fit": "runs.train", "train": "runs.train"},
    "engine": {"Run": "runs.run", "Predictor": "runs.predictor"},
    "facts.types": {"Learner": "facts.learner"},
    "labels": dict.fromkeys(
        ("LABEL_NAMES", "class_names", "encode", "encoded", "labels_and_names"), "facts.labels"
    ),  # of the module that had this name before the package
    "data.read.images": {
        "FeaturePreparation": "data.prepare.images",
        "ImagePreparation": "data.prepare.images",
        "hub_pool": "data.read.hub",
        "image_pool": "data.read.images.image_folder",
    },
    "data.read.tables": {
        "Column": "data.prepare.columns",
        "column": "data.prepare.columns",
        "Reading": "data.read.tables.read",
        "Table": "data.read.tables.table",
        "TablePreparation": "data.prepare.table",
        "is_table": "data.read.tables.sources",
        "read_table": "data.read.tables.read",
        "table_pool": "data.read.tables.table_pool",
    },
}
"""Former exports of packages -> the module that has each now, with `:Name` where it was renamed."""


def present_name(module: str) -> str | None:
    """Return the present full name of a module from its former full name; None where it was not renamed."""
    parts = module.split(".")
    if parts[0] != "longtail":
        return None
    for end in range(len(parts), 1, -1):
        if (moved := MOVED.get(".".join(parts[1:end]))) is not None:
            present = ".".join(["longtail", moved, *parts[end:]])
            return present_name(present) or present
    return None


def name(package: str, wanted: str) -> Any:
    """Return a former export of `package`.

    Raises:
        AttributeError: it never had that name.
    """
    target = NAMES.get(package.removeprefix("longtail."), {}).get(wanted)
    if target is None:
        raise AttributeError(f"module {package!r} has no attribute {wanted!r}")
    module, _, renamed = target.partition(":")
    return getattr(import_module(f"longtail.{module}"), renamed or wanted)


class Moved:
    """A finder and loader that imports a module by its former name and returns the module itself.

    It has no base class of `importlib.abc`, which would import half of the standard library before `python -m
    longtail` has removed the working directory from sys.path.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a specification for a former name; None for any other."""
        loader: Any = self
        return None if present_name(fullname) is None else ModuleSpec(fullname, loader)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module by its present name."""
        moved = present_name(spec.name)
        assert moved is not None
        module = import_module(moved)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the specification that the import by the former name has overwritten; the module has run already."""
        former = module.__spec__
        assert former is not None
        module.__spec__ = former.loader_state
        package = sys.modules.get(former.name.rpartition(".")[0])
        if type(package) is ModuleType:  # whose attribute is set next
            package.__class__ = Package


class Package(ModuleType):
    """A package that keeps `shape`, the function, when `shape`, the module, is imported by a former name."""

    def __setattr__(self, name: str, value: Any) -> None:
        exported = name in NAMES.get(self.__name__.removeprefix("longtail."), {}) or (
            name in self.__dict__ and not isinstance(self.__dict__[name], ModuleType)
        )
        if not (exported and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def install() -> None:
    """Install the finder once, before those that search folders."""
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, Moved())
