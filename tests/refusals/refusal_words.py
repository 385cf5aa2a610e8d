"""Bad words on a command line: options beyond their range or of another kind, spec strings that cannot be read."""

from __future__ import annotations

import random
from collections.abc import Callable

from refusal_case import LONG, Case, good_npz, junk

Bad = Callable[[random.Random], str]


def whole(low: int, high: int | None = None) -> Bad:
    def bad(rng: random.Random) -> str:
        beyond = [str(low - 1), str(low - rng.randrange(1, 10**9)), f"-{10**30}"]
        beyond += [str(high + rng.randrange(1, 10**6)), str(10**30), "9" * LONG] if high is not None else []
        return rng.choice([*beyond, "1.5", "1e3", "nan", "inf", "", "0x10", "1,000", junk(rng)])

    return bad


def real(low: float, high: float | None = None) -> Bad:
    def bad(rng: random.Random) -> str:
        beyond = [str(low - rng.random() - 0.01), f"-{10**30}"]
        beyond += [str(high + rng.random() + 0.01), "inf", "1e400"] if high is not None else []
        return rng.choice([*beyond, "nan", "-inf", "", "0,5", "1/2", junk(rng)])

    return bad


def word(*known: str) -> Bad:
    def bad(rng: random.Random) -> str:
        one = rng.choice(known)
        return rng.choice([one + "x", one[:-1], one.upper(), f" {one}", "", "None", "../" + one, junk(rng)])

    return bad


OPTIONS: dict[str, tuple[str, Bad]] = {
    "--seeds": ("2", whole(1, 1000)),
    "--folds": ("2", whole(2, 64)),
    "--jobs": ("1", whole(1, 1024)),
    "--evaluations": ("2", whole(1)),
    "--epochs": ("3", whole(1, 10**6)),
    "--metric": ("accuracy", word("accuracy", "macro_f1")),
    "--budget": ("10m", lambda rng: rng.choice(["10", "0s", "-1m", "1d", "1h30m", "s", "", "nan", junk(rng)])),
    "--val": ("0.2", real(0.0, 1.0)),
    "--ratio": ("2", real(1.0)),
    "--profile": ("step", word("exp", "step")),
    "--model": ("linear", word("linear", "mlp", "tabular")),
    "--recipe": ("common", word("common", "own")),
    "--precision": ("float32", word("float32", "auto")),
    "--device": ("cpu", word("cpu", "cuda")),
    "--methods": ("ce,ldam", lambda rng: spec(rng)),
}
"""Option of compare -> a good value, and what makes a bad one."""


def option(rng: random.Random) -> Case:
    name = rng.choice(list(OPTIONS))
    good, bad = OPTIONS[name]
    value = bad(rng)
    line = ["compare", "good.npz", "--methods", "ce", "--epochs", "2", "--seeds", "1", "--jobs", "1", "--out", "out"]
    return Case(
        "option",
        f"{name}={value}",
        [*line, f"{name}={value}"],
        [*line, f"{name}={good}", "--dry-run"],
        good_npz,
        good_npz,
    )


def unread(rng: random.Random) -> Case:
    """An option that this kind of data, or this verb, does not read."""
    name = rng.choice(
        [
            "--split",
            "--weight",
            "--size",
            "--delimiter",
            "--features",
            "--skip-bad",
            "--no-mirror",
            "--data-dir",
            "--" + junk(rng),
            "--header",
        ]
    )
    value = [] if name in ("--skip-bad", "--no-mirror", "--header") else ["3"]
    verb = rng.choice(["compare", "inspect", "train"])
    return Case(
        "unread", f"{verb} {name}", [verb, "good.npz", name, *value], ["inspect", "good.npz"], good_npz, good_npz
    )


SPECS = ("ldam(scale=20)", "absgd(lam=2.0, gamma=0.5)", "ldam-drw(max_margin=0.4)", "logit-adjusted(tau=1.5)")


def spec(rng: random.Random) -> str:
    """A spec that is never good: a good one with one thing wrong."""
    one = rng.choice(SPECS)
    name, body = one[:-1].split("(")
    knob = body.split("=")[0]
    deep = rng.choice([300, 2000])
    return rng.choice(
        [
            f"{name}({body}",
            f"{body})",
            f"{name}({body}))",
            f"{name}{body}",
            f"{name}({body}, {knob}=3)",
            f"{name}(3)",
            f"{name}(*[1])",
            f"{name}(**{{}})",
            f"{name}({knob}=)",
            f"{name}({knob}x=1)",
            f"{name}({knob}={'nan' if name == 'absgd' else -1})",
            f"{name}({knob}=nan)",
            f"{name}({knob}=1e999j)",
            f"{name}({knob}='{junk(rng)[:9]}')",
            f"{name}({knob}=switch(0.8))",
            f"{name}({knob}=switch(0.8, 1, 2, 3))",
            f"{name}({knob}=switch(8, 1, 2))",
            f"{name}({knob}=switch('a', 1, 2))",
            f"{name}({knob}=steps(1, 2))",
            f"{name}({knob}=switch(0.1, switch(0.1, 1, 2), 3))",
            f"{name}({knob}=swtch(0.8, 1, 2))",
            f"{name}({knob}=linear(1, 2, x=3))",
            f"{name}({knob}=warmup(None, 2))",
            f"{name}({knob}={'(' * deep}1{')' * deep})",
            f"{name}({knob}={'-' * deep}x)",
            f"{name}({knob}=__import__('os'))",
            f"{name}({knob}=[i for i in ()])",
            f"{name}({knob}={'9' * LONG}j)",
            f"{name}({knob}={'9' * LONG})",
            f"{name}({knob}=1\x00)",
            f"{name}-{junk(rng)}",
            junk(rng),
            "(",
            "",
            ",",
            "ce;ce",
            "quick(x=1)",
            f"{name}({knob}=True)",
            f"{name}({knob}={{}})",
            f"{name}({knob}=1 if 2 else 3)",
            f"{name}({knob}=(1,))",
            f"{name}({knob}=None)",
        ]
    )


def method(rng: random.Random) -> Case:
    bad = spec(rng)
    verb = rng.choice(["train", "explain"])
    if verb == "explain":
        return Case("spec", f"explain {bad}", ["explain", "--", bad], ["explain", "--", SPECS[0]])
    line = ["train", "good.npz", "--dry-run", "--epochs", "2"]
    return Case("spec", f"train {bad}", [*line, f"--method={bad}"], [*line, f"--method={SPECS[1]}"], good_npz, good_npz)
