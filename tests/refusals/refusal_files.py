"""Bad files: tables, arrays, folders of images and of models that are a good one with one thing wrong."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from refusal_case import LONG, Case, arrays, junk

ROWS = [("red", 1.5, "x"), ("blue", 2.5, "y")] * 12 + [("green", 0.5, "x")] * 6
GOOD = "colour,size,kind\n" + "".join(f"{c},{s},{k}\n" for c, s, k in ROWS)


def _table(rng: random.Random) -> tuple[str, bytes | str]:
    lines = GOOD.splitlines()
    at = rng.randrange(1, len(lines))

    def with_line(text: str) -> str:
        return "\n".join([*lines[:at], text, *lines[at:]]) + "\n"

    return rng.choice(
        [
            ("empty", ""),
            ("blank", "\n" * rng.randrange(1, 9)),
            ("header only", lines[0] + "\n"),
            (f"short row {at}", with_line("red,1")),
            (f"long row {at}", with_line("red,1,x,2")),
            (f"open quote {at}", with_line('red,1.0,"x')),
            (f"no label {at}", with_line(",1.0,x")),
            (f"bytes {at}", with_line("red,1.0,x").encode() + b"\xff\xfe\xfa"),
            ("utf-16", GOOD.encode("utf-16")),
            ("one class", GOOD.replace("blue", "red").replace("green", "red")),
            ("twin columns", GOOD.replace("kind", "size")),
            ("no label column", GOOD.replace("colour", "hue")),
            ("image", b"\x89PNG\r\n\x1a\n" + GOOD.encode()),
            ("zip", b"PK\x03\x04" + GOOD.encode()),
            ("zeros", b"\0" * rng.randrange(1, LONG)),
            ("junk", junk(rng)),
            ("measured", "colour,size\n" + "".join(f"{rng.random()},{i}\n" for i in range(60))),
            ("row numbers", "colour,size\n" + "".join(f"{i},{i}\n" for i in range(60))),
            ("no features", "colour\n" + "red\nblue\n" * 20),
            ("no columns", "\n,,,\n"),
            (f"long cell {at}", with_line("r" * LONG)),
            ("html", "<html><body>404</body></html>\n"),
            ("json", '[{"colour": "red"}]'),
            ("semicolons", GOOD.replace(",", ";")),
        ]
    )


def table(rng: random.Random) -> Case:
    name, content = _table(rng)

    def files(folder: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (folder / "t.csv").write_bytes(data)

    verb = rng.choice(["inspect", "train", "compare"])
    line = ["inspect"] if verb == "inspect" else [verb, "--epochs", "1", "--dry-run"]
    return Case(
        "table",
        f"{verb} {name}",
        [*line, "t.csv", "--label", "colour"],
        ["inspect", "t.csv", "--label", "colour"],
        files,
        lambda folder: (folder / "t.csv").write_text(GOOD),
    )


def role(rng: random.Random) -> Case:
    """A column that is not there, or not what it is named for."""
    flag = rng.choice(["--label", "--split", "--group", "--weight"])
    value = rng.choice(
        {
            "--label": [junk(rng), "size ", "0", "-1"],
            "--split": ["kind", "size", junk(rng)],
            "--group": [junk(rng), "colour"],
            "--weight": ["kind", junk(rng)],
        }[flag]
    )
    label = [] if flag == "--label" else ["--label", "colour"]

    def files(folder: Path) -> None:
        (folder / "t.csv").write_text(GOOD)

    return Case(
        "role",
        f"{flag}={value}",
        ["inspect", "t.csv", *label, f"{flag}={value}"],
        ["inspect", "t.csv", "--label", "colour"],
        files,
        files,
    )


def _arrays(rng: random.Random) -> dict[str, Any]:
    good = arrays()
    X, y, at = good["X"], good["y"], rng.randrange(64)
    hole = X.copy()
    hole[at, rng.randrange(3)] = rng.choice([np.nan, np.inf, -np.inf, 1e39])
    odd = y.astype(np.int64).copy()
    odd[at] = rng.choice([-1, 1001, 20_000_000, 2026010100017])
    return rng.choice(
        [
            {"X": hole, "y": y},
            {"X": X, "y": odd},
            {"X": X[: at or 1], "y": y},
            {"X": X, "y": y[: at or 1]},
            {"X": X, "y": y * 0},
            {"X": X, "y": y + 0.5},
            {"X": X.astype(str), "y": y},
            {"X": X.astype(object), "y": y},
            {"X": X, "y": y.astype(object)},
            {"X": X[:0], "y": y[:0]},
            {"X": X[:, :0], "y": y},
            {"X": X[:, 0], "y": y},
            {"X": X[:, :, None, None, None], "y": y},
            {"X": X, "y": np.stack([y, y, y])},
            {"x": X, "y": y},
            {"X": X},
            {},
            {"X": X, "y": y, "sample_weight": -np.ones(64)},
            {"X": X, "y": y, "sample_weight": np.ones(3)},
            {"X": X, "y": y, "X_test": X},
            {"X": X, "y": y, "X_test": X[:, :2], "y_test": y},
            {"X": X + 0j, "y": y},
            {"X": X, "y": y, "classes": np.array(["a"])},
            {"X": X, "y": y, "classes": np.array(["a", "a", "b"])},
            {"X": X, "y": y.astype("datetime64[D]")},
            {"X": X, "y": y + np.uint64(2**63)},
            {"X": np.float64(3), "y": y},
            {"X": X, "y": y, "sample_weight": np.full(64, np.nan)},
        ]
    )


def array(rng: random.Random) -> Case:
    made = _arrays(rng)
    harm = rng.choice(["", "", "", "cut", "flip", "text", "renamed"])

    def files(folder: Path) -> None:
        path = folder / "a.npz"
        np.savez(path, **(arrays() if harm else made))
        data = bytearray(path.read_bytes())
        if harm == "cut":
            data = data[: rng.randrange(len(data) - 30)]
        if harm == "flip":
            data[:4] = b"NOPE"
        if harm == "text":
            data = bytearray(junk(rng).encode())
        if harm == "renamed":
            data = bytearray(b"\x93NUMPY") + data
        path.write_bytes(data)

    told = harm or {k: f"{v.dtype}{v.shape}" if hasattr(v, "dtype") else v for k, v in made.items()}
    verb = rng.choice(["inspect", "compare"])
    line = [verb, "a.npz"] if verb == "inspect" else [verb, "a.npz", "--epochs", "1", "--dry-run"]
    return Case(
        "array",
        f"{verb} {told}",
        line,
        ["inspect", "a.npz"],
        files,
        lambda folder: np.savez(folder / "a.npz", **arrays()),
    )


def pictures(folder: Path) -> None:
    for j, name in enumerate(("cat", "dog")):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(8):
            noise = np.random.default_rng(10 * j + i).integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "photos" / name / f"{i}.png")


def _harmed(rng: random.Random) -> tuple[str, Callable[[Path], None]]:
    one = f"cat/{rng.randrange(8)}.png"
    return rng.choice(
        [
            ("cut", lambda p: (p / one).write_bytes((p / one).read_bytes()[: rng.randrange(60)])),
            ("text", lambda p: (p / one).write_text(junk(rng)[:50])),
            ("empty", lambda p: (p / one).write_bytes(b"")),
            ("no image", lambda p: [f.unlink() for f in (p / "dog").iterdir()]),
            ("one class", lambda p: shutil.rmtree(p / "dog")),
            ("pipe", lambda p: ((p / one).unlink(), os.mkfifo(p / one))),
            ("loop", lambda p: (p / "cat" / "up").symlink_to(p)),
            ("dangling", lambda p: (p / "cat" / "x.png").symlink_to("nothing.png")),
            ("deep", lambda p: shutil.copytree(p / "dog", p / "cat" / "d")),
            ("beside", lambda p: shutil.copy(p / one, p / "x.png")),
            ("address", lambda p: shutil.copy(p / one, p / "cat" / "a::b.png")),
            ("metadata pipe", lambda p: os.mkfifo(p / "metadata.csv")),
            ("nothing", lambda p: shutil.rmtree(p)),
            ("bytes in a name", lambda p: shutil.copy(p / one, os.fsencode(p / "cat") + b"/\xff.png")),
            ("a bomb", lambda p: (p / one).write_bytes(b"P6 90000 90000 255\n" + b"\0" * 99)),
            ("a tiff", lambda p: (p / one).write_bytes(b"II*\0" + b"\xff" * 40)),
        ]
    )


def images(rng: random.Random) -> Case:
    name, harm = _harmed(rng)

    def files(folder: Path) -> None:
        pictures(folder)
        harm(folder / "photos")

    labelled = ["--label", "species"] if name == "metadata pipe" else []
    return Case(
        "images",
        name,
        ["train", "photos", "--dry-run", "--epochs", "1", *labelled],
        ["train", "photos", "--dry-run", "--epochs", "1"],
        files,
        pictures,
    )


def place(rng: random.Random) -> Case:
    """What stands at a path is no file, or is not to be written."""
    suffix = rng.choice([".csv", ".npz", ".npy", ".parquet", ".tsv"])
    kind = rng.choice(["pipe", "folder", "device", "nothing", "loop", "long", "nul", "onto", "link", "inside", "svg"])
    data = ["inspect", f"d{suffix}"] + (["--label", "colour"] if suffix != ".npz" else [])

    def files(folder: Path) -> None:
        (folder / "t.csv").write_text(GOOD)
        (folder / "l.csv").symlink_to("t.csv")
        pictures(folder)
        path = folder / f"d{suffix}"
        {
            "pipe": lambda: os.mkfifo(path),
            "folder": path.mkdir,
            "device": lambda: path.symlink_to("/dev/zero"),
            "loop": lambda: path.symlink_to(path),
        }.get(kind, lambda: None)()

    line = {
        "long": ["inspect", "d" * LONG + suffix],
        "nul": ["inspect", f"d\0{suffix}"],
        "onto": ["compare", "photos", "--out", "photos/../photos"],
        "inside": ["train", "photos", "--out", "photos/cat/run"],
        "link": ["compare", "l.csv", "--label", "colour", "--out", "t.csv"],
        "svg": ["inspect", "t.csv", "--label", "colour", "--svg", "l.csv"],
    }.get(kind, data)
    return Case("place", f"{kind}{suffix}", line, ["inspect", "t.csv", "--label", "colour"], files, files)


def model(rng: random.Random, trained: Path) -> Case:
    """A model folder with a file that is gone, cut, exchanged or no file; or rows that are not of its kind."""
    there = ["meta.json", "model.safetensors"]
    one, other = rng.sample(there, 2)
    harm = rng.choice(["gone", "cut", "swap", "pipe", "zeros", "text", "rows", "narrow", "prior", "onto", "hidden"])
    prior = rng.choice(["a=1", "0=1,0=1", "0=-1,1=1,2=1", "0=nan,1=1,2=1", "0=x,1=1,2=1", "no.json", "0=1", junk(rng)])
    cut = rng.random()

    def files(folder: Path) -> None:
        shutil.copytree(trained, folder / "model")
        X = arrays()["X"]
        np.save(folder / "new.npy", X[:, :2] if harm == "narrow" else X)
        path = folder / "model" / one
        data = path.read_bytes()
        if harm in ("gone", "pipe"):
            path.unlink()
        {
            "cut": lambda: path.write_bytes(data[: int(cut * len(data))]),
            "pipe": lambda: os.mkfifo(path),
            "swap": lambda: path.write_bytes((folder / "model" / other).read_bytes()),
            "zeros": lambda: path.write_bytes(bytes(len(data))),
            "text": lambda: path.write_text(junk(random.Random(cut))),
        }.get(harm, lambda: None)()

    line = ["predict", "model", "nothing.npy" if harm == "rows" else "new.npy"]
    line += ["--target-prior", prior] if harm == "prior" else []
    line += ["--out", "new.npy"] if harm == "onto" else ["--out", "model"] if harm == "hidden" else []
    return Case(
        "model",
        f"{harm} {one} {prior if harm == 'prior' else cut:}",
        line,
        ["predict", "model", "new.npy"],
        files,
        lambda folder: (shutil.copytree(trained, folder / "model"), np.save(folder / "new.npy", arrays()["X"])),
    )
