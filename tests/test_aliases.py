"""What could be imported before the folders were sorted is imported under the same name, and is the same module."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from tests.cases import cases

import longtail as lt
from longtail import aliases

BEFORE = """
arrays checks children class_weights cli cli.compare cli.explain cli.inspect cli.methods cli.options cli.planned
cli.predict cli.progress cli.reproduce cli.screen cli.sharing cli.terminal cli.train comparison comparison.audit
comparison.benchmarks comparison.cautions comparison.comparison comparison.costs comparison.decisions
comparison.differences comparison.estimate comparison.execute comparison.inspection comparison.inspection.advice
comparison.inspection.columns comparison.inspection.content comparison.inspection.findings
comparison.inspection.identifiers comparison.inspection.labels comparison.inspection.mending
comparison.inspection.rules comparison.inspection.shape comparison.inspection.telling comparison.inspection.view
comparison.layout comparison.measured comparison.opening comparison.plan comparison.reproduction
comparison.resampling comparison.result comparison.tested comparison.unstable comparison.verdict cosine counts data
data.arrays data.augment data.cache data.cifar data.examples data.files data.folds data.fresh data.grouping
data.images data.images.assemble data.images.columns data.images.decode data.images.features data.images.folder
data.images.hub data.images.listing data.images.memory data.images.metadata data.images.pixels
data.images.preparation data.images.tree data.limits data.load data.mapped data.optional data.options data.origin
data.pool data.preparation data.reading data.splits data.splitting data.tables data.tables.cells data.tables.columns
data.tables.labels data.tables.layout data.tables.pooling data.tables.preparation data.tables.read data.tables.roles
data.tables.settled data.tables.sources data.tables.table documents engine engine.finished engine.fit engine.journal
engine.lock engine.machine engine.memory engine.packing engine.precision engine.predictions engine.predictor
engine.priors engine.randomness engine.recipe engine.run engine.saved engine.sources engine.stage engine.store
engine.watch functional functional.affine functional.fused functional.hinge functional.margin
functional.maximum_margin functional.mixtures functional.pairwise functional.sigmoid functional.softmax groups heads
heads.bias heads.exchange heads.nearest heads.scale identifiers instance_weights instance_weights.absgd
instance_weights.eg instance_weights.exponents instance_weights.ranges instance_weights.small_loss
instance_weights.term instance_weights.weighting intervals knobs labels learners learners.estimator learners.fitted
learners.supervised ledger losses losses.class_balanced losses.configured losses.constants losses.hinge losses.ldam
losses.logit_adjusted losses.loss losses.maximum_margin losses.pairwise losses.per_class losses.reduction
losses.scaled losses.shapes losses.signature losses.softmax losses.uniform_margin losses.vector_scaling
losses.weighting methods methods.abadam methods.catalog methods.choose methods.classifiers methods.decoupled
methods.deferred methods.definition methods.estimators methods.folds methods.implied methods.ldam
methods.logit_adjustment methods.menu methods.outcome methods.plain methods.recipes methods.references
methods.resampling methods.resolve methods.reweighting methods.robust methods.spec methods.train methods.weighing
metrics metrics.calibration metrics.evaluation metrics.inputs metrics.intervals metrics.rates models models.bodies
models.build models.fused models.network models.resnet models.standardize models.tabular optim optim.abadam
optim.absgd optim.adaptive optim.weighted places posthoc posthoc.corrections posthoc.priors posthoc.rules profiles
report report.bars report.files report.names report.picture report.reproduction report.tables report.thin
report.weights sampling sampling.classes sampling.order sampling.rows schedules targets targets.given trusted
trusted.archive trusted.forest trusted.types types updates updates.descend version wording
"""
"""Every module below longtail before the move."""

RENAMED = """
cli.planned cli.screen cli.sharing comparison.cautions comparison.evidence.tested comparison.evidence.unstable
comparison.measured comparison.opening data.kinds data.prepare.fresh data.read.images.assemble
data.read.images.columns data.read.images.features data.read.images.folder data.read.images.listing
data.read.images.metadata_columns data.read.images.tree data.read.optional data.read.tables.layout
data.read.tables.pooling data.read.tables.roles data.read.tables.settled engine.memory engine.packing engine.store
engine.watch facts.children facts.documents facts.places facts.wording functional.fused inspection.content
inspection.labels inspection.mending inspection.telling inspection.view losses.hinge losses.rare_margins methods.menu
models.fused report.bars report.names report.picture report.thin report.weights runs.finish runs.finished runs.folds
runs.saved sampling.order
"""
"""Names that did not say what is inside, as they were called after the move."""


@cases("name", [*BEFORE.split(), *RENAMED.split()])
def test_every_former_name_gives_the_module(name: str) -> None:
    pytest.importorskip("datasets")
    module = importlib.import_module(f"longtail.{name}")
    present = aliases.present_name(f"longtail.{name}")
    if present is None:
        assert module.__name__ == f"longtail.{name}"
        return
    assert module is importlib.import_module(present)
    assert module.__spec__ is not None
    assert module.__spec__.name == present  # so that it can be reloaded and pickled by its own name


def test_no_alias_hides_a_module() -> None:
    for former in aliases.MOVED:
        folder, _, leaf = former.rpartition(".")
        parent = importlib.import_module(f"longtail.{folder}" if folder else "longtail")
        for path in parent.__path__:
            assert importlib.machinery.PathFinder.find_spec(f"longtail.{former}", [path]) is None or leaf in (
                "heads", "images", "inspection", "ledger", "tables", "trusted",
            ), former  # fmt: skip


HANDED_ON = """
import longtail as lt
from longtail.data.images import FeaturePreparation, ImagePreparation, hub_pool, image_pool
from longtail.data.tables import Column, Reading, Table, TablePreparation, column, is_table, read_table, table_pool
from longtail.engine import Predictor, Recipe, Run, Stage, Training
from longtail.methods import PRESETS, Method, Reference, catalogue, fit, method, methods, train
assert fit is lt.fit and Run is lt.Run and Method is lt.Method and callable(train)
from longtail import heads, schedules, types
from longtail.comparison import Outcome, TaskResult
assert Outcome is TaskResult
assert heads.CosineClassifier is lt.models.heads.CosineClassifier and types.Learner is lt.Learner
"""


@pytest.mark.slow
def test_what_packages_handed_on_they_still_do() -> None:
    pytest.importorskip("datasets")
    # in a process of its own: once `longtail.methods.train` was imported as a module, its package has that
    subprocess.run([sys.executable, "-c", HANDED_ON], check=True)
    with pytest.raises(AttributeError, match=r"^module 'longtail.engine' has no attribute 'Runs'$"):
        lt.engine.Runs  # noqa: B018


FUNCTIONS = """
import longtail.methods.train, longtail.comparison.inspection.shape, longtail.data.splitting
from longtail.data import pool, split
from longtail.inspection import shape
from longtail.methods import fit, train
assert not any(type(one).__name__ == "module" for one in (fit, pool, shape, split, train))
"""


@pytest.mark.slow
def test_a_module_of_a_former_name_does_not_take_the_place_of_a_function() -> None:
    pytest.importorskip("datasets")
    subprocess.run([sys.executable, "-c", FUNCTIONS], check=True)


@pytest.mark.slow
def test_the_package_itself_imports_nothing_that_could_lie_in_the_working_directory() -> None:
    code = "import sys; before = set(sys.modules); import longtail; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"random", "tempfile", "json", "importlib.resources"} & set(loaded)


@pytest.mark.slow
def test_a_former_name_that_is_imported_first_gives_the_same_module() -> None:
    code = "import longtail.schedules as a, longtail.facts.schedules as b; assert a is b; import longtail.schedules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"longtail\.nothing"):
        importlib.import_module("longtail.nothing")
