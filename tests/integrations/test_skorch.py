"""Inside skorch: the loss as criterion, scikit-learn's clone and grid search, progress from the history."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from tiny import BATCH, COUNTS, EPOCHS, RATE, SCALE, C, D, network, rows, same, trained_by_hand
from torch import Tensor, nn

import longtail as lt

skorch = pytest.importorskip("skorch")


class LongTailNet(skorch.NeuralNetClassifier):
    """Progress for the criterion, and its own probabilities: skorch knows those of torch's losses alone."""

    def get_loss(self, y_pred: Tensor, y_true: Tensor, X: object = None, training: bool = False) -> Tensor:
        y_true = skorch.utils.to_tensor(y_true, device=self.device)
        progress = (len(self.history) - 1) / self.max_epochs
        return self.criterion_(y_pred, y_true, progress=progress)

    def predict_proba(self, X: object) -> np.ndarray:
        return self.criterion_.probabilities(self.forward(X)).numpy()


class CountClasses(skorch.callbacks.Callback):
    """Counts of the very labels that are fitted: those of the fold in a cross-validation."""

    def on_train_begin(self, net: skorch.NeuralNet, X: object = None, y: object = None, **_: object) -> None:
        net.set_params(criterion__class_counts=lt.class_counts(y, num_classes=C))


def net_of(kind: type[skorch.NeuralNet] = LongTailNet, module: object = network, **options: object) -> skorch.NeuralNet:
    """Plain SGD over the rows in order, as by hand."""
    given = {"criterion": lt.losses.LogitAdjustedLoss, "criterion__class_counts": torch.tensor(COUNTS), **options}
    return kind(module, max_epochs=EPOCHS, batch_size=BATCH, lr=RATE, train_split=None, verbose=0, **given)


def arrays() -> tuple[np.ndarray, np.ndarray]:
    x, y = rows()
    return x.numpy(), y.numpy()


DRW = {
    "criterion": lt.losses.LDAMLoss,
    "criterion__class_weight": "effective",
    "criterion__scale": SCALE,
    "criterion__reweight": lt.schedules.switch(0.5, 0.0, 1.0),
}


def test_deferred_weights_train_to_the_weights_of_a_loop_by_hand() -> None:
    net = net_of(**DRW).fit(*arrays())
    same(net.module_, trained_by_hand())


def test_probabilities_are_the_losss_own() -> None:
    """LDAM's are the softmax of scaled cosines; skorch alone would hand out the cosines themselves."""
    x, y = arrays()
    net = net_of(**DRW).fit(x, y)
    logits = net.forward(x)
    probabilities = net.predict_proba(x)
    np.testing.assert_allclose(probabilities, torch.softmax(SCALE * logits, 1).numpy(), rtol=1e-6)
    assert (net.predict(x) == probabilities.argmax(1)).all()
    raw = net_of(skorch.NeuralNetClassifier).fit(x, y)
    assert np.abs(raw.predict_proba(x).sum(1) - 1).max() > 0.1


def test_a_softmax_is_enough_where_the_scores_are_the_logits() -> None:
    x, y = arrays()
    net = net_of(skorch.NeuralNetClassifier, predict_nonlinearity=nn.Softmax(dim=1)).fit(x, y)
    expected = net.criterion_.probabilities(net.forward(x)).numpy()
    np.testing.assert_allclose(net.predict_proba(x), expected, rtol=1e-6)


def test_progress_cannot_be_forgotten() -> None:
    with pytest.raises(TypeError, match=r"needs progress; pass progress=epoch / epochs"):
        net_of(skorch.NeuralNetClassifier, **DRW).fit(*arrays())


@pytest.mark.parametrize("criterion", [lt.losses.LDAMLoss, lt.losses.LogitAdjustedLoss])
def test_clones_have_the_same_parameters_and_fit_alike(criterion: type[lt.losses.Loss]) -> None:
    x, y = arrays()
    net = net_of(criterion=criterion)
    twin = clone(net)
    assert twin.get_params()["criterion"] is criterion
    assert torch.equal(twin.get_params()["criterion__class_counts"], torch.tensor(COUNTS))
    np.testing.assert_array_equal(twin.fit(x, y).predict_proba(x), net.fit(x, y).predict_proba(x))
    again = clone(net)  # of a fitted net: not fitted, not sharing
    assert not again.initialized_


def test_set_params_builds_the_loss_anew() -> None:
    net = net_of().initialize()
    net.set_params(criterion__tau=0.5)
    assert net.criterion_.tau == 0.5
    assert net.get_params()["criterion__tau"] == 0.5
    with pytest.raises(ValueError, match="tau must be >= 0"):
        net.set_params(criterion__tau=-1.0)


def test_fitted_nets_are_pickled_with_their_loss() -> None:
    x, y = arrays()
    net = net_of().fit(x, y)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(x), net.predict_proba(x))
    assert torch.equal(again.criterion_.class_counts, net.criterion_.class_counts)


def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(D, C)


def test_a_grid_search_counts_each_fold_and_finds_the_better_tau() -> None:
    x, y = arrays()
    halves = np.arange(32), np.arange(32, 64)
    folds, taus = [halves, halves[::-1]], [0.0, 1.0]
    search = GridSearchCV(
        net_of(module=linear, callbacks=[CountClasses()]),
        {"criterion__tau": taus},
        scoring="balanced_accuracy",
        cv=folds,
        refit=False,
    ).fit(x, y)
    expected = np.zeros((len(folds), len(taus)))
    for i, (train, test) in enumerate(folds):
        counts = np.bincount(y[train], minlength=C)
        assert counts.tolist() != [n // 2 for n in COUNTS]  # the folds differ, or counting them would be idle
        for j, tau in enumerate(taus):
            alone = net_of(module=linear, criterion__class_counts=counts, criterion__tau=tau)
            predicted = alone.fit(x[train], y[train]).predict(x[test])
            expected[i, j] = balanced_accuracy_score(y[test], predicted)
    found = [search.cv_results_[f"split{i}_test_score"] for i in range(len(folds))]
    np.testing.assert_allclose(found, expected)
    assert search.best_params_ == {"criterion__tau": 1.0}
