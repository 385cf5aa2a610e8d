"""What the steps of the trial methods do to batch norms."""

from __future__ import annotations

import pytest
import toys

from longtail.engine import Recipe, Training
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
