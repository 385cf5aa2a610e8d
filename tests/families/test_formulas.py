"""The formulas of the trial methods against brute force, and what their steps do to batch norms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import toys
from fixmatch_darp import Refined
from ride import apart
from sam_mwn import SAM
from toys import SPLITS

from longtail import losses
from longtail.engine import Recipe, Training
from longtail.learners import SupervisedLearner
from longtail.methods import method


class TestBatchNorms:
    """Images, since a network of tables has none."""

    RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1, model="convnet", model_args={"width": 2})
    DATA = toys.images()

    def trained(self, spec: str) -> Training:
        training = Training(method(spec).stages(self.RECIPE), self.DATA)
        list(training)
        return training

    @pytest.mark.parametrize("spec", ["sam", "mwn", "sam(base='ride')"])
    def test_move_once_a_step_however_many_passes_it_makes(self, spec: str) -> None:
        state = self.trained(spec).state()
        steps = sum(-(-record["examples"] // 16) for record in state["records"])
        assert int(state["learner"]["network.body.1.num_batches_tracked"]) == steps

    @pytest.mark.parametrize("base", ["ce", "crt"])
    def test_are_those_of_the_base_where_sam_is_without_strength(self, base: str) -> None:
        plain, without = (self.trained(spec).learner.state_dict() for spec in (base, f"sam(base={base!r}, rho=0)"))
        assert all(t.equal(without[name]) for name, t in plain.items())

    def test_of_a_frozen_body_move_in_crt_and_its_weights_do_not(self) -> None:
        state = self.trained("crt").state()
        first, last = state["before"][0], state["learner"]
        assert last["network.body.0.weight"].equal(first["network.body.0.weight"])
        assert not last["network.body.1.running_mean"].equal(first["network.body.1.running_mean"])

    def test_stand_still_under_a_probe(self) -> None:
        state = self.trained("simclr").state()
        first, last = state["before"][0], state["learner"]
        body = [name for name in last if name.startswith("network.body.")]
        assert all(last[name].equal(first[name]) for name in body)


class TestFormulas:
    def test_sam_descends_with_the_gradient_of_the_worst_point(self) -> None:
        rows = SPLITS["supervised"].train
        torch.manual_seed(0)
        learner = SupervisedLearner(torch.nn.Linear(4, 3), losses.CrossEntropyLoss())
        batch = rows.batch(torch.arange(20))
        w = learner.network.weight.detach().clone().requires_grad_(), learner.network.bias.detach().clone()
        bias = w[1].requires_grad_()

        def grads(weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(F.cross_entropy(F.linear(batch["inputs"], weight, bias), batch["targets"]), w)

        first = grads(*w)
        scale = 0.5 / torch.cat([g.flatten() for g in first]).norm()
        worst = grads(*(p + scale * g for p, g in zip((w[0], bias), first, strict=True)))
        SAM(0.5)(learner, batch, torch.optim.SGD(learner.parameters(), lr=0.1), 0.0)
        torch.testing.assert_close(learner.network.weight, w[0] - 0.1 * worst[0])
        torch.testing.assert_close(learner.network.bias, bias - 0.1 * worst[1])

    def test_refined_pseudo_labels_have_the_expected_class_totals(self) -> None:
        torch.manual_seed(0)
        targets = Refined(None, 60, torch.tensor([40, 20, 8]), start=0.0, period=1, keep=2.0)
        targets.seen.copy_(torch.randn(60, 3).softmax(1))
        found = targets.solved()
        torch.testing.assert_close(found.sum(1), torch.ones(60))
        torch.testing.assert_close(found.double().sum(0), targets.totals, rtol=1e-4, atol=1e-3)

    def test_experts_are_measured_from_their_mean(self) -> None:
        torch.manual_seed(0)
        z, temperature = torch.randn(6, 3, 4), torch.tensor([1.0, 0.9, 0.8, 0.7])
        mean = (z.mean(1) / temperature).softmax(1)
        each = [
            F.kl_div((e / temperature).log_softmax(1), mean, reduction="none").sum(1) * 0.85**2 for e in z.unbind(1)
        ]
        torch.testing.assert_close(apart(z, temperature), torch.stack(each).sum(0))
