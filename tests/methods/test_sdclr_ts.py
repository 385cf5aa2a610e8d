"""SDCLR and TS over encoders: what is pruned in our networks, the temperature of every epoch, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.functional import partial_and_contrast_formulas as formulas
from tests.methods import task_data
from torch import nn

from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.facts.schedules import at
from longtail.learners.pruned import Pruned, prunable
from longtail.methods import method

IMAGES = task_data.splits("self-supervised", shape=(8, 8))
ROWS = task_data.splits("self-supervised")
CONVNET = Recipe(epochs=2, batch_size=16, lr=0.1, model="convnet", model_args={"width": 2})
MLP = Recipe(epochs=2, batch_size=16, lr=0.1, model="mlp", model_args={"hidden": (8,)})


def begun(spec: str, recipe: Recipe, rows: Any) -> Any:
    stage = method(spec).stages(recipe)[0]
    torch.manual_seed(0)
    return stage.build(TrainingSet.of(rows), None)


class TestSDCLR:
    def test_prunes_every_convolution_of_a_resnet_and_nothing_else(self) -> None:
        shape = task_data.splits("self-supervised", (6, 4, 3), shape=(3, 32, 32)).train
        for model, stem_blocks_and_downsamples in (("resnet18", 1 + 16 + 3), ("wide_resnet", None)):
            network = Recipe(model=model).sketch(shape)
            names = prunable(network)
            convolutions = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
            assert list(names) == convolutions
            assert stem_blocks_and_downsamples in (None, len(names))

    def test_keeps_a_tenth_by_default_and_projects_with_all_weights(self) -> None:
        learner = begun("sdclr", MLP, ROWS).learner
        assert learner.branch.layers == ("body.1",)
        (mask,) = learner.branch.masks
        assert int(mask.sum()) == mask.numel() - math.ceil(0.9 * mask.numel())
        assert len(learner.branch.norms) == 2  # the projector's

    def test_the_mask_of_an_epoch_is_that_of_the_weights_before_it(self) -> None:
        training = Training(method("sdclr(fraction=0.5)").stages(CONVNET)[:1], TrainingSet.of(IMAGES))
        masks = []
        for _ in training:
            masks.append([mask.clone() for mask in training.learner.branch.masks])
            now = Pruned(training.learner.network, 0.5).masks
        assert any(not a.equal(b) for a, b in zip(*masks, strict=True))
        assert any(not a.equal(b) for a, b in zip(masks[-1], now, strict=True))

    def test_what_is_saved_and_probed_is_the_dense_network(self) -> None:
        training = Training(method("sdclr").stages(CONVNET), TrainingSet.of(IMAGES))
        list(training)
        state = training.state()["before"][0]
        network: Any = training.learner.network
        assert all(t.equal(state[f"network.body.{name}"]) for name, t in network.body.state_dict().items())
        assert bool((network.body[0].weight != 0).all())
        assert not [name for name in training.learner.state_dict() if "mask" in name]

    @pytest.mark.parametrize("base", ["moclr", "byol", "moco(queue=32)"])
    def test_the_average_of_a_host_has_second_norms_that_follow(self, base: str) -> None:
        training = Training(method(f"sdclr(base={base!r}, fraction=0.5)").stages(CONVNET)[:1], TrainingSet.of(IMAGES))
        list(training)
        branch = training.learner.branch
        pairs = list(zip(branch.norms.parameters(), branch.average_norms.parameters(), strict=True))
        trained = base != "moco(queue=32)"  # whose network never sees the second view
        assert any(bool((p.detach() != p.detach().round()).any()) for p, _ in pairs) == trained
        assert any(not p.equal(mean) for p, mean in pairs) == trained
        assert all(not mean.requires_grad for _, mean in pairs)
        assert all(int(norm.num_batches_tracked) > 0 for norm in branch.average_norms)

    @pytest.mark.slow
    def test_a_compiled_body_is_pruned_the_same(self) -> None:
        losses = []
        for compiled in (False, True):
            (learner, rows, _) = begun("sdclr(fraction=0.5)", CONVNET, IMAGES)
            if compiled:
                learner.network.body.compile(dynamic=False, backend="aot_eager")
            batch = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))
            learner.train()
            step = learner.training_step(batch, 0.0)
            step.loss.backward()
            losses.append([step.loss, *(p.grad for p in learner.parameters())])
        for plain, fast in zip(*losses, strict=True):
            torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)

    def test_refuses_what_it_cannot_prune_before_training(self) -> None:
        recipe = replace(MLP, model="linear", model_args={})
        why = method("sdclr").refuses_recipe(recipe, ROWS.train)
        assert why is not None
        assert why.startswith("method 'sdclr': network must have convolutions, or linear layers before its head, to ")
        assert why.endswith("got none; choose another network with --model (model=)")
        assert "\n" not in why
        assert method("sdclr").refuses_recipe(MLP, ROWS.train) is None
        for spec in ("sdclr(fraction=1)", "sdclr(fraction=-0.1)", "sdclr(fraction=linear(0, 0.5))"):
            with pytest.raises((ValueError, TypeError), match=r"^fraction (must be in \[0, 1\)|cannot be a sch)"):
                method(spec)

    def test_is_refused_over_itself_and_what_has_no_second_view(self) -> None:
        with pytest.raises(ValueError, match="which passes one view through a changed network already"):
            method("sdclr(base='sdclr')")
        for base in ("ce", "random-encoder", "supcon"):
            with pytest.raises(ValueError, match=r"^base must be a self-supervised method"):
                method(f"sdclr(base={base!r})")


class TestTS:
    def test_is_the_papers_schedule_one_epoch_later(self) -> None:
        """As coded: the half period H is 200 epochs, and e counts from 1; as in the paper: T = 400."""
        learner = begun("ts", replace(MLP, epochs=2000), ROWS).learner
        for e in (1, 7, 100, 200, 399, 400, 1234, 1999):
            coded = 0.1 + 0.5 * (1.0 - 0.1) * (1 + math.cos(math.pi * e / 200))
            paper = (1.0 - 0.1) * (1 + math.cos(2 * math.pi * e / 400)) / 2 + 0.1
            assert at(learner.temperature, e / 2000) == pytest.approx(coded, abs=1e-9)
            assert at(learner.temperature, e / 2000) == pytest.approx(paper, abs=1e-9)
        assert at(learner.temperature, 0.0) == 1.0

    def test_compares_at_the_temperature_of_the_epoch(self) -> None:
        learner, rows, _ = begun("ts(base='simclr(t=7, passes=\"split\")', low=0.2, high=0.6, cycles=1)", MLP, ROWS)
        batch = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))
        for e in range(4):
            z1, z2 = (learner.network(view).logits.double().tolist() for view in batch["inputs"])
            t = 0.2 + 0.4 * (1 + math.cos(2 * math.pi * e / 4)) / 2
            expected = torch.tensor(formulas.nt_xent(z1, z2, t))
            torch.testing.assert_close(learner.training_step(batch, e / 4).losses, expected, rtol=1e-4, atol=1e-4)

    def test_is_refused_over_what_has_no_temperature(self) -> None:
        for base, why in (
            ("byol", "has no temperature to take up"),
            ("simsiam", "has no temperature to take up"),
            ("sdclr(base='byol')", "has no temperature to take up"),
            ("ts", "schedules its temperature already"),
            ("ce", "is supervised"),
        ):
            with pytest.raises(ValueError, match=f"^base must be .*, which {why}"):
                method(f"ts(base={base!r})")

    def test_refuses_exchanged_ends_and_no_temperature(self) -> None:
        with pytest.raises(ValueError, match=r"low must be at most high=0\.5, got 0\.7; exchange the two"):
            method("ts(low=0.7, high=0.5)")
        with pytest.raises(ValueError, match="low must be > 0"):
            method("ts(low=0)")

    def test_takes_two_epochs_a_cycle(self) -> None:
        assert method("ts(cycles=2)").too_short(replace(MLP, epochs=4)) is None
        why = method("ts(base='sdclr', cycles=2)").refuses_recipe(replace(MLP, epochs=3), ROWS.train)
        assert why is not None
        assert "epochs must be at least 4 for its 2 cycles to take effect, got 3; raise --epochs" in why
        assert why.endswith("or lower cycles")
