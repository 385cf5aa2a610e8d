"""The field's benchmarks by name: long-tailed and step CIFAR at the ratios that papers report, and with fewer labels.

With candidate sets (`-ambiguity-0.5`) or rows without labels (`-labeled-1500-unlabeled-3000`) a benchmark has the
recipe of the papers that report it. With wrong labels (`-noise-proportional-0.3`) it has that of long-tailed CIFAR.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from typing import Any

from longtail.data.simulate import parsed
from longtail.data.simulate.noise import noise_of
from longtail.engine import Recipe
from longtail.engine.default_recipe import LDAM, RECORDS, USB
from longtail.engine.protocol import protocol
from longtail.facts.ledger import AMBIGUOUS, DATA, FEW_LABELS, KINDS, NOISY, RATIOS, Protocol

PROFILES = {"lt": "exp", "step": "step"}
OPTIONS = ("ratio", "profile", "ambiguity", "labeled", "unlabeled_size", "unlabeled_ratio", "noise")
_NOISE = "-noise-"
_NAME = re.compile(
    r"(?P<data>[a-z0-9]+)(-(?P<kind>lt|step)-(?P<ratio>\d+))?(-ambiguity-(?P<ambiguity>[\d.]+))?"
    r"(-labeled-(?P<labeled>[\d.]+))?(-unlabeled-(?P<size>\d+))?(-ratio-(?P<other>\d+)|-(?P<reversed>reversed))?"
    r"(-noise-(?P<noise>[a-z-]+)-(?P<rate>[\d.]+))?"
)


@dataclass(frozen=True)
class Benchmark:
    """The data, profile and imbalance ratio of a benchmark, and the labels that are hidden (see `data.load`)."""

    name: str
    data: str
    profile: str
    ratio: float
    ambiguity: str | None = None
    labeled: float | None = None
    unlabeled_size: int | None = None
    unlabeled_ratio: float | str | None = None
    noise: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `data.load`."""
        return {name: getattr(self, name) for name in OPTIONS}

    @property
    def recipe(self) -> Recipe:
        """The recipe that its numbers were published with."""
        return usual_recipe(self.name)

    def recipe_options(self, **given: Any) -> dict[str, Any]:
        """Return these options of a training; what is None or missing is that of the published recipe."""
        given = {name: value for name, value in given.items() if value is not None}
        own = {field.name: getattr(self.recipe, field.name) for field in fields(Recipe)}
        own = {name: value for name, value in own.items() if name != "own" and value != getattr(LDAM, name)}
        if "model" in given:
            own.pop("model_args", None)  # those of the recipe's network
        if given.get("epochs") is None:
            own["epochs"] = self.recipe.epochs
        return {**own, **given}

    def protocol(self, recipe: Recipe) -> Protocol:
        """Return the protocol of a training on it under a recipe."""
        return _protocol(self.name, recipe)


def usual_recipe(name: str) -> Recipe:
    """Return the recipe of the papers that report a benchmark, also one that `longtail reproduce` does not have."""
    if "-labeled-" in name:
        return USB
    return RECORDS if name in AMBIGUOUS or name.endswith("-candidates") else LDAM


def usual_protocol(name: str) -> Protocol:
    """Return the protocol of `longtail reproduce` for a benchmark."""
    return _protocol(name, usual_recipe(name))


def _protocol(name: str, recipe: Recipe) -> Protocol:
    if "-labeled-" in name:
        return protocol(recipe, views="weak and strong", subset="by seeds 0, 1 and 2")
    return protocol(recipe)


def _named(name: str) -> Benchmark:
    match = _NAME.fullmatch(name)
    assert match is not None, name
    part = match.groupdict()
    return Benchmark(
        name, part["data"], PROFILES[part["kind"] or "lt"], float(part["ratio"] or 1), part["ambiguity"],
        None if part["labeled"] is None else parsed("labeled", part["labeled"]),  # type: ignore[arg-type]
        None if part["size"] is None else int(part["size"]),
        part["reversed"] or (None if part["other"] is None else float(part["other"])),
        None if part["noise"] is None else f"{part['noise']}:{part['rate']}",
    )  # fmt: skip


def _with_checked_noise(name: str) -> Benchmark:
    match = _NAME.fullmatch(name)
    noise_of(name.partition(_NOISE)[2] if match is None else f"{match['noise']}:{match['rate']}")
    return _named(name)


BENCHMARKS = {
    name: _named(name)
    for name in (
        *(f"{data}-{kind}-{ratio}" for data in DATA for kind in KINDS for ratio in RATIOS), *AMBIGUOUS, *FEW_LABELS,
        *NOISY,
    )
}  # fmt: skip


def with_noise(name: str, noise: str | None) -> str:
    """Return the name of a benchmark with noise KIND:RATE.

    Raises:
        ValueError, TypeError: no such noise, options beside kind and rate, or a name that has noise already.
    """
    if noise is None:
        return name
    made = noise_of(noise)
    if made.text != f"{made.kind}:{made.rate}" or _NOISE in name:
        raise ValueError(
            f"noise (--noise) of a benchmark must be KIND:RATE and given once, got {noise!r} for {name}; leave out its "
            "options, or use longtail compare"
        )
    return f"{name}{_NOISE}{made.kind}-{made.rate}"


def benchmark(name: str) -> Benchmark:
    """Return the benchmark of that name, such as cifar10-lt-100.

    Every one with one label a row may have noise, whether a number is published for it or not, and so may all images.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    clean, noise, _ = str(name).partition(_NOISE)
    if noise and (clean in DATA or (clean in BENCHMARKS and clean not in AMBIGUOUS)):
        return _with_checked_noise(name)
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(str(name), BENCHMARKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "as in cifar10-lt-100"
        ratios = ", ".join(map(str, RATIOS))
        others = (
            f"with candidate sets as in {AMBIGUOUS[0]}, with few labels as in {FEW_LABELS[-1]}, with noise as in "
            f"{NOISY[0]} and {NOISY[-1]}"
        )
        raise ValueError(
            f"benchmark must be cifar10 or cifar100, lt or step, and {ratios}, {others}, got {name!r}; {hint}"
        )
    return BENCHMARKS[name]
