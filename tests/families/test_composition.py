"""Every correction over every method: equal to the composition written by hand, or refused before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import toys
from by_hand import HAND
from tests.methods.task_data import splits_for
from toys import TOYS

from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.method import SLOTS, Method
from longtail.catalogue.resolve import resolve
from longtail.data import TrainingSet
from longtail.data.true_labels import with_true_counts
from longtail.engine import Built, Stage, Training
from longtail.facts import knobs
from longtail.methods import method
from longtail.methods.entries import CATALOG, SEARCHES
from longtail.methods.presets import CLASSICAL, ESTIMATOR_THRESHOLDS
from longtail.methods.presets import ESTIMATORS as PLAIN_ESTIMATORS

ALL = {**CATALOG, **TOYS}
RECIPE = replace(toys.RECIPE, batch_size=12)
RULES = {
    key: knob.rule
    for key, builder in ALL.items()
    for knob in knobs.declared(builder).values()
    if isinstance(knob.rule, BaseMethod) and knob.name == "base" and key not in SEARCHES
}
"""Correction -> what it asks of its base."""

ESTIMATORS = tuple(key for key in (*PLAIN_ESTIMATORS, *ESTIMATOR_THRESHOLDS, *CLASSICAL) if key in CATALOG)
POSTHOC = {"logit-adjusted-posthoc", "ce-threshold", "logit-adjusted-threshold", "threshold-moving", "tau-norm"}
META = {"l2rw", "mwn", "meta"}
WEIGHING = {"absgd", "absgd-decoupled", "abadam", "term", "eg", "small-loss", "recover", "co-teaching", *META}
REGULARISED = {"har", "har-drw"}
STEPPING = {"sam", "asam", "imbsam", "sam-a", "rwsam", "recover", "cdr", "co-teaching", *META, *REGULARISED}
"""Steps of their own kind."""
MIXING = {"mixup", "manifold-mixup", "remix"}
CLEANED = {"rolt", "rolt-drw"}
"""With soft labels, which fill what reads one class of a row."""
DECOUPLED = {"crt", "ncm", "lws", "maxnorm", "los", "mislas", "oltr", *REGULARISED}
"""No classifier to train a second time: they do, or their last stage needs the one before."""
NO_LENGTHS = {
    "ldam", "ldam-drw", "m-drw", "ldam-hg", "hg-drs", "ldam-hg-drs", "mm", "mm-drw", "mm-ldam-drw", "ride",
    "etf-dr", "lift-head",
}  # fmt: skip
"""Cosine classifiers, or several."""
BALANCED = {
    "cb-ce", "cb-focal", "inverse-ce", "sqrt-ce", "influence-balanced", "cb-rs", "sqrt-rs", "progressive-rs",
    "class-aware-rs", "reversed-rs", "under-rs", "over-rs", "ce-drw", "ce-drs", "focal-drw", "drw", "drs", "sqrt-drs",
    "progressive-drs", "ldam-drw", "m-drw", "hg-drs", "ldam-hg-drs", "mm-drw", "mm-ldam-drw", "logit-adjusted",
    "balanced-softmax", "balanced-softmax-drw", "logit-adjusted-adaptive", "vs", "vs-tla-adrw", "ride", "crt", "ncm",
    *META, "lws", "maxnorm", "mislas", "oltr", "lift-head", "bbn", "rolt-drw", "har-drw",
}  # fmt: skip
"""Re-balanced by weights, draws, offsets or a meta set."""
PRETRAINED = {"ssp", "ssp-contrast", "rcal"}
HARMONIZED = {"gh", "simclr-gh", "focal-simclr-gh", "sdclr-gh", "bcl-gh", "dnc-gh"}
ENCODERS = {
    "simclr", "focal-simclr", "moco", "moclr", "byol", "simsiam", "supcon", "random-encoder",
    "sdclr", "ts", "bcl", "dnc", "rwsam",
    *HARMONIZED,
}  # fmt: skip
CONFIDENT = {"rc", "lw", "cavl", "proden", "corr"}
PARTIAL = {
    "cc", "solar", "records", "oracle-la", *CONFIDENT, "proden-records", "corr-records", "lw-records", "cavl-records",
}  # fmt: skip
HOSTS = {"fixmatch", "mixmatch", "remixmatch"}
SEMI = {
    *HOSTS, "darp", *(f"{host}-darp" for host in HOSTS), "abc", "crest", "crest-plus", "simpro", "fixmatch-abc",
    "remixmatch-abc", "fixmatch-crest", "fixmatch-crest-plus", "fixmatch-simpro",
}  # fmt: skip
REFINED = {
    "darp",
    *(f"{host}-darp" for host in HOSTS),
    "crest-plus",
    "simpro",
    "fixmatch-crest-plus",
    "fixmatch-simpro",
}
"""With guesses that are changed by a correction."""
AUXILIARY = {"abc", "fixmatch-abc", "remixmatch-abc"}
GENERATIONS = {"crest", "crest-plus", "fixmatch-crest", "fixmatch-crest-plus"}
SELECTIVE = {"sel-cl", "sel-cl-plus"}
"""With steps of their own that no correction can change."""
SUPERVISED = set(ALL) - POSTHOC - set(ESTIMATORS) - ENCODERS - PARTIAL - SEMI - SELECTIVE - {"oracle", *SEARCHES}
ONE_LABEL = SUPERVISED - WEIGHING - PRETRAINED - MIXING - DECOUPLED - CLEANED - {"bbn", "ride", "drw", "l-softmax"}
"""What reads one label of each row by a loss of its own."""
LEGAL = {
    **dict.fromkeys(WEIGHING, SUPERVISED - WEIGHING - PRETRAINED - CLEANED),
    "abadam": SUPERVISED - WEIGHING - PRETRAINED - CLEANED - {"maxnorm", "los"},
    **dict.fromkeys(META, SUPERVISED - WEIGHING - MIXING - PRETRAINED - STEPPING - CLEANED - {"bbn", "mislas"}),
    "recover": SUPERVISED - WEIGHING - PRETRAINED - STEPPING - CLEANED,
    "absgd-decoupled": SUPERVISED - WEIGHING - DECOUPLED - PRETRAINED - CLEANED,
    "co-teaching": SUPERVISED - WEIGHING - STEPPING - MIXING - DECOUPLED - PRETRAINED - CLEANED - {"bbn", "forward"},
    **dict.fromkeys(
        ("sam", "asam", "cdr"),
        set(ALL) - POSTHOC - {*ESTIMATORS, *SEARCHES} - STEPPING - SELECTIVE - {"random-encoder", "supcon", "rcal"},
    ),
    **dict.fromkeys(("imbsam", "sam-a"), SUPERVISED - STEPPING - {"rcal"} | {"oracle"}),
    "rwsam": ENCODERS - STEPPING - {"random-encoder", "supcon"},
    "dnc": ENCODERS - {"dnc", "dnc-gh", "random-encoder", "supcon"},
    **dict.fromkeys(("darp", "simpro"), SEMI - REFINED),
    "abc": SEMI - AUXILIARY,
    "crest": SEMI - GENERATIONS,
    "crest-plus": SEMI - GENERATIONS - REFINED,
    "bcl": ENCODERS - {"random-encoder", "supcon", "bcl", "bcl-gh"},
    "sdclr": ENCODERS - {"random-encoder", "supcon", "sdclr", "sdclr-gh"},
    "ts": ENCODERS - {"random-encoder", "supcon", "byol", "simsiam", "ts"},
    "records": CONFIDENT,
    "oracle-la": CONFIDENT,
    "gh": ENCODERS - HARMONIZED - {"random-encoder", "supcon"},
    **dict.fromkeys(PRETRAINED, SUPERVISED - PRETRAINED - REGULARISED - {"ride", "bbn", "forward", "co-teaching"}),
    "rcal": SUPERVISED - PRETRAINED - REGULARISED - STEPPING - {"ride", "bbn", "forward", "co-teaching"},
    "har": SUPERVISED - DECOUPLED - STEPPING - PRETRAINED - {"absgd-decoupled", "ride", "bbn", "forward"},
    "drw": SUPERVISED - BALANCED - PRETRAINED - CLEANED - {"l-softmax", "co-teaching"},
    "rolt": ONE_LABEL,
    "rolt-drw": ONE_LABEL - BALANCED,
    "drs": SUPERVISED - BALANCED - PRETRAINED - {"co-teaching"},
    **dict.fromkeys(MIXING, SUPERVISED - MIXING - PRETRAINED - META - CLEANED - {"bbn", "mislas", "co-teaching"}),
    **dict.fromkeys(("crt", "ncm"), SUPERVISED - DECOUPLED - {"absgd-decoupled"} | SEMI),
    **dict.fromkeys(("lws", "tau-norm", "mislas", "oltr"), SUPERVISED - DECOUPLED - NO_LENGTHS - {"absgd-decoupled"}),
    **dict.fromkeys(
        ("maxnorm", "los"),
        SUPERVISED - DECOUPLED - NO_LENGTHS - PRETRAINED - {"absgd-decoupled", "abadam", "co-teaching"},
    ),
}
"""Correction -> bases that have all that it takes up."""
TRAINED = {
    "ce", "ldam-drw", "drw", "l-softmax", "mixup", "ride", "absgd", "abadam", "absgd-decoupled", *META, "sam", "crt",
    "ncm", "lws", "maxnorm", "los", "mislas", "ldam", "cb-rs", "bbn", "ssp", "recover", "forward", "co-teaching",
    *HOSTS, *REGULARISED, "darp", "cc", "proden", "records", "corr", "simclr", "byol", "abc", "crest", "crest-plus",
    "simpro", "sdclr", "ts", "bcl", "gh", "rwsam", "dnc", "sdclr-gh", "bcl-gh", "dnc-gh", "rolt", "rolt-drw", "rcal",
}  # fmt: skip
"""One base or more for each task and set of free slots; all others are accepted or refused, and not trained."""
QUICK = {"ce", "ldam-drw", "absgd", "crt", "fixmatch", "proden", "simclr", "ride"}
"""Bases that are trained without the full suite."""
ALIKE = {
    "abadam", "term", "eg", "small-loss", "manifold-mixup", "remix", "asam", "imbsam", "sam-a", "recover",
    "cdr", "l2rw",
}  # fmt: skip
"""Corrections that take up what absgd, mixup, sam or mwn does: without the full suite over plain training alone."""
UNLIKE = QUICK | {"mixup", "rolt"}
"""Bases of theirs: of each task, of several stages or networks, with labels that are mixed or soft."""
LATE = {"rolt-drw", "har-drw"}
"""Bases that are another's but for class weights in its last epochs: under one correction of each kind alone."""
KINDS = {"sam", "har", "mixup", "crt", "ssp"}


def trained(correction: str) -> set[str]:
    """The bases over which a correction is trained."""
    found = TRAINED & LEGAL.get(correction, TRAINED)  # one that LEGAL lacks fails in a test of its own
    return (found & UNLIKE if correction in ALIKE else found) - (set() if correction in KINDS else LATE)


PAIRS = [
    pytest.param(correction, base, marks=[] if base in quick else [pytest.mark.slow])
    for correction in HAND
    for quick in [{"ce"} if correction in ALIKE else QUICK]
    for base in ALL
    if base in trained(correction)
]


@cache
def resolved(spec: str) -> Method:
    return resolve(spec, ALL)


@cache
def task_of(spec: str) -> TrainingSet:
    """Data of the method's task and kind of inputs."""
    found = resolved(spec)
    splits = splits_for(found, (14, 6, 4))
    return with_true_counts(splits) if found.keeps_labels else TrainingSet.of(splits)


def left(stages: Sequence[Stage], data: TrainingSet) -> dict[str, torch.Tensor]:
    """All that the last learner knows after training, as tensors."""
    training = Training(stages, data)
    list(training)
    return {name: t for name, t in training.learner.state_dict().items() if isinstance(t, torch.Tensor)}


@cache
def resulting(spec: str) -> dict[str, torch.Tensor]:
    found = resolve(spec, ALL)
    return left(found.stages(RECIPE), task_of(spec))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(t.equal(other[name]) for name, t in one.items())


def networks(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of the network that predicts."""
    own = {name.removeprefix("first."): t for name, t in state.items()}
    return {name: t for name, t in own.items() if name.startswith("network.")}


def test_every_correction_is_written_by_hand_and_says_what_it_takes_up() -> None:
    assert set(RULES) == set(LEGAL)
    assert set(RULES) - set(HAND) == {"tau-norm"}  # a rule on the scores: the networks are those of the base
    for key, rule in RULES.items():
        assert set(rule.slots) & method(key).taken == set(rule.slots), key


@pytest.mark.parametrize("correction", RULES)
def test_bases_with_the_slots_free_are_accepted_and_no_others(correction: str) -> None:
    rule, declared = RULES[correction], knobs.declared(ALL[correction])
    defaults = {name: resolved(k.default) for name, k in declared.items() if isinstance(k.rule, BaseMethod)}
    for base in ALL:
        plain = resolved(base)
        if base in LEGAL[correction]:
            rule.check("base", plain)
            composed = ALL[correction](**{**defaults, "base": plain})
            assert composed.task == plain.task
            assert composed.taken == plain.taken | set(rule.slots), base
            continue
        with pytest.raises(ValueError, match=f"base must be .*, got '{base}', wh(ich|ose) .*; choose one of longtail"):
            rule.check("base", plain)


def test_every_set_of_free_slots_has_a_base_that_is_trained() -> None:
    bases = set().union(*LEGAL.values()) - {"oracle"}  # ce on true labels: on these data it is ce
    free = {
        key: (found.task, frozenset(slot for slot in SLOTS if found.refuses_slots(slot) is None))
        for key in bases
        for found in [resolved(key)]
    }
    assert {free[key] for key in TRAINED} == set(free.values())
    assert set().union(*map(trained, HAND)) == TRAINED


@pytest.mark.parametrize(("correction", "base"), PAIRS, ids=lambda key: key)
def test_a_pair_is_equal_to_by_hand(correction: str, base: str) -> None:
    spec = f"{correction}(base={base!r})"
    plain = method(base)
    by_hand = left(HAND[correction](plain, RECIPE, task_of(spec)), task_of(spec))
    assert same(resulting(spec), by_hand)
    # and neither of the two is lost
    assert not same(networks(resulting(spec)), networks(resulting(base)))
    default = f"{correction}(base={knobs.declared(ALL[correction])['base'].default!r})"
    if spec != default:
        assert not same(networks(resulting(spec)), networks(resulting(default)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sam(base=\"absgd(base='ride', lam=5)\")", "absgd(base=\"sam(base='ride')\", lam=5)"),
        ("sam(base=\"eg(base='ldam-drw')\")", "eg(base=\"sam(base='ldam-drw')\")"),
        ("sam(base=\"darp(base='fixmatch')\")", "darp(base=\"sam(base='fixmatch')\")"),
        ("sam(base=\"bcl(base='simclr(t=0.5)')\")", "bcl(base=\"sam(base='simclr(t=0.5)')\")"),
        ("sam(base=\"records(base='proden')\")", "records(base=\"sam(base='proden')\")"),
        ("crt(base=\"ssp(base='ldam-drw')\")", "ssp(base=\"crt(base='ldam-drw')\")"),
        ("sdclr(base='ts')", "ts(base='sdclr')"),
        ("sam(base=\"sdclr(base='byol')\")", "sdclr(base=\"sam(base='byol')\")"),
        ("mixup(base=\"drw(base='absgd(lam=5)')\")", "drw(base=\"absgd(base='mixup', lam=5)\")"),
    ],
)
def test_corrections_in_different_slots_do_not_mind_their_order(one: str, other: str) -> None:
    assert same(resulting(one), resulting(other))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("absgd(base=\"sam(base='term')\")", "which weighs its examples already"),
        ("sam(base=\"crt(base='sam')\")", "which takes steps of its own kind already"),
        ("absgd(base=\"ssp(base='ldam-drw')\")", "which has no weights to take up"),
        ("absgd-decoupled(base=\"absgd(base='ncm')\")", "which weighs its examples already"),
        ("sam(base=\"absgd(base='trees')\")", "whose training is not one of gradient steps"),
        ("darp(base=\"sam(base='ce')\")", "which is supervised"),
        ("drw(base=\"sam(base='cb-rs')\")", "which re-balances its classes already"),
        ("drs(base=\"mixup(base='drw')\")", "which re-balances its classes already"),
        ("drw(base=\"sam(base='l-softmax')\")", "which has a criterion of its own already"),
        ("mixup(base=\"absgd(base='remix')\")", "which mixes its examples already"),
        ("mixup(base='mwn')", "which mixes its examples already"),
        ("rolt(base=\"sam(base='rolt-drw')\")", "which estimates its targets already"),
    ],
)
def test_what_is_taken_far_below_is_taken(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        method(spec)


class TestWhatIsNotDeclared:
    """A leaf that forgets to say what it takes up is refused when it is built, and nothing of it is lost."""

    @staticmethod
    def built(correction: str, base: Built) -> Built:
        stage = Stage("train", "careless", lambda data, previous: base, 1, RECIPE.make_optimizer, RECIPE.learning_rate)
        careless = Method(lambda recipe: [stage], method("ce").reference).named("careless", "careless")
        (found,) = ALL[correction](base=careless).stages(RECIPE)
        return found.build(task_of("ce"), None)

    def test_an_update_of_its_own(self) -> None:
        base = method("sam").stages(RECIPE)[0].build(task_of("ce"), None)
        for correction in ("sam", "mwn"):
            with pytest.raises(ValueError, match="base must take plain gradient steps, got SAM; choose another base"):
                self.built(correction, base)

    def test_weights_of_its_own(self) -> None:
        base = method("absgd").stages(RECIPE)[0].build(task_of("ce"), None)
        with pytest.raises(ValueError, match="SupervisedLearner without weights, got one with weights"):
            self.built("term", base)

    @pytest.mark.parametrize(
        ("correction", "base", "why"),
        [
            ("drw", "ce-drw", "loss must be one without class weights, got CrossEntropyLoss"),
            ("drw", "simclr", "base must train by one loss, got PairLearner; choose another base"),
            ("rolt", "simclr", "by one loss against one label a row, got PairLearner; choose another base"),
            ("drs", "ce-drs", "base must visit each row once an epoch, got one with a sampler; choose another base"),
            ("mixup", "simclr", "SupervisedLearner without mixing on one view of labelled rows; choose another base"),
            ("mixup", "remix", "SupervisedLearner without mixing on one view of labelled rows; choose another base"),
        ],
    )
    def test_balance_and_mixing_of_its_own(self, correction: str, base: str, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            self.built(correction, method(base).stages(RECIPE)[0].build(task_of("ce"), None))

    def test_another_kind_of_learner(self) -> None:
        base = method("simclr").stages(RECIPE)[0].build(task_of("ce"), None)
        with pytest.raises(ValueError, match="without weights, got PairLearner; choose another base"):
            self.built("absgd", base)
        found: Any = self.built("sam", base)
        assert found.learner is base.learner
