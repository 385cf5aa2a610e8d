"""Does Meta-Weight-Net find the clean examples? Digits with wrong labels, and ten surely right rows of each class.

40 % of the training labels are moved to another class, drawn uniformly; the classes are of like size. A network with
one hidden layer is trained in a plain loop by cross-entropy, Meta-Weight-Net and Learning to Reweight, each from the
same initialisation and order. The meta set is `sampling.meta_rows`, with its true labels ("clean") or as it is
("noisy"): what methods of the catalogue get where labels of the training rows are wrong. Shown: the average weight of
right and of wrong labels in the last fifth of the epochs, the area under the curve (AUC) of the weight as a score for
"right", 0.5 for weights that know nothing, and test accuracy after the last epoch. They show; they tune nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data import Examples, load

NOISE, CLASSES, PER_CLASS, BATCH, LR = 0.4, 10, 10, 100, 0.1
WEIGHTINGS = {
    "ce": lambda: None,
    "mwn": lt.updates.MetaWeightNet,
    "mwn, last layer": lambda: lt.updates.MetaWeightNet(layer="3"),
    "mwn, every 5th step": lambda: lt.updates.MetaWeightNet(every=5),
    "l2rw": lt.updates.LearningToReweight,
    "l2rw, last layer": lambda: lt.updates.LearningToReweight(layer="3"),
}


def inputs_of(part: Any) -> Tensor:
    assert isinstance(part, Examples)
    values = part.inputs.float().flatten(1)
    return values / values.max()


def losses_of(x: Tensor, y: Tensor, net: Any) -> Tensor:
    return F.cross_entropy(net(x), y, reduction="none")


def one(name: str, meta_labels: str, seed: int, epochs: int) -> dict[str, Any]:
    """One training."""
    splits = load("digits", ratio=1)
    x, truth = inputs_of(splits.train), splits.train.targets
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(truth), generator=generator) < NOISE
    y = torch.where(wrong, (truth + torch.randint(1, CLASSES, truth.shape, generator=generator)) % CLASSES, truth)
    meta, stay = lt.sampling.meta_rows(truth, PER_CLASS)
    meta_labels_of = truth if meta_labels == "clean" else y
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(x.shape[1], 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, CLASSES))
    weighting: Any = WEIGHTINGS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4)
    rows, seen = [], []
    for epoch in range(epochs):
        for index in stay[torch.randperm(len(stay), generator=generator)].split(BATCH):
            losses = partial(losses_of, x[index], y[index])
            if weighting is None:
                loss = losses(model).mean()
            else:
                drawn = meta[torch.randint(len(meta), (BATCH,), generator=generator)]
                meta_losses = partial(losses_of, x[drawn], meta_labels_of[drawn])
                loss = weighting(losses, model, optimizer, lambda net, of=meta_losses: of(net).mean())
                if epoch >= 0.8 * epochs:
                    rows.append(index)
                    seen.append(weighting.last)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    right = (model(inputs_of(splits.test)).argmax(1) == splits.test.targets).double().mean()
    result: dict[str, Any] = {"accuracy": float(right)}
    if seen:
        weights, noisy = torch.cat(seen), wrong[torch.cat(rows)]
        result |= {
            "weight of right labels": float(weights[~noisy].mean()),
            "weight of wrong labels": float(weights[noisy].mean()),
            "auc": float(roc_auc_score(~noisy.numpy(), weights.numpy())),
        }
    if isinstance(weighting, lt.updates.MetaWeightNet):
        result |= {"curve": weighting.epoch_record()["weight_net"]}
    return result


def plot(curves: dict[str, list[dict[str, Any]]], out: Path) -> None:
    """The weight of an example by its loss, one line per seed."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "longtail", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True):
            for line in lines:
                axes.plot(line["losses"], line["weights"], color="#2f6690", lw=1)
            axes.set(title=title, xlabel="loss", ylabel="weight, before it is normalised", ylim=(0, 1), xlim=(0, None))
        figure.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argument_parser(__doc__, "meta-weights.json")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = {}
    curves: dict[str, list[dict[str, Any]]] = {}
    for meta_labels in ("clean", "noisy"):
        for name in WEIGHTINGS:
            if meta_labels == "noisy" and name not in ("mwn", "l2rw"):
                continue
            found = [one(name, meta_labels, seed, given.epochs) for seed in range(given.seeds)]
            if name == "mwn":
                curves[f"{meta_labels} meta set"] = [run["curve"] for run in found]
            numbers = [key for key in found[0] if key != "curve"]
            row = {key: [round(run[key], 4) for run in found] for key in numbers}
            label = name if name == "ce" else f"{name}, {meta_labels} meta set"
            table[label] = {key: {"mean": round(float(np.mean(v)), 4), "runs": v} for key, v in row.items()}
            print(f"{label}: " + ", ".join(f"{key} {cell['mean']:.3f}" for key, cell in table[label].items()))
    plot(curves, given.out.with_suffix(".svg"))
    save(given.out, {"machine": facts(), "seeds": given.seeds, "epochs": given.epochs, "noise": NOISE, "table": table})
    print(f"{given.out} and .svg")


if __name__ == "__main__":
    main()
