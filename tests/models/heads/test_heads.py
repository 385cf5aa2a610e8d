"""Heads: cosines, and a head exchanged without touching the rest of the network."""

from copy import deepcopy
from math import sqrt

import pytest
import torch
from torch import nn

from longtail.models import heads
from longtail.models.heads import CosineClassifier, LearnableScale, NearestClassMean, swap_head


def test_cosines_are_the_formula():
    torch.manual_seed(0)
    head = CosineClassifier(5, 3).double()
    features = torch.randn(4, 5, dtype=torch.float64)
    cosines = head(features)
    for row, h in zip(cosines.tolist(), features.tolist(), strict=True):
        for z, w in zip(row, head.weight.tolist(), strict=True):
            dot = sum(a * b for a, b in zip(h, w, strict=True))
            assert z == pytest.approx(dot / sqrt(sum(a * a for a in h) * sum(b * b for b in w)), abs=1e-14)


def test_cosines_stay_in_range_and_know_no_length():
    torch.manual_seed(0)
    head = CosineClassifier(6, 4)
    features = torch.randn(1000, 6)
    cosines = head(features)
    assert cosines.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(head(1e4 * features), cosines)
    torch.testing.assert_close(head(head.weight).diagonal(), torch.ones(4))
    with torch.no_grad():
        head.weight.mul_(17)
    torch.testing.assert_close(head(features), cosines)


def test_the_initial_rows_are_uniform_directions_of_length_one():
    torch.manual_seed(0)
    head = CosineClassifier(3, 2000)
    assert [name for name, _ in head.named_parameters()] == ["weight"]
    assert head.weight.shape == (2000, 3)  # laid out as nn.Linear's
    torch.testing.assert_close(head.weight.norm(dim=1), torch.ones(2000))
    torch.manual_seed(0)
    drawn = torch.empty(2000, 3).uniform_(-1, 1)
    torch.testing.assert_close(head.weight.detach(), drawn / drawn.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_zero_vectors_have_cosine_and_gradient_zero(dtype):
    head = CosineClassifier(3, 2).to(dtype)
    with torch.no_grad():
        head.weight[1] = 0
    features = torch.tensor([[0.0, 0, 0], [1, 2, 3]], dtype=dtype, requires_grad=True)
    cosines = head(features)
    cosines.sum().backward()
    assert cosines.dtype == dtype
    assert cosines[0].tolist() == [0, 0]
    assert cosines[:, 1].tolist() == [0, 0]
    assert features.grad[0].tolist() == [0, 0, 0]
    assert torch.isfinite(features.grad).all()
    assert head.weight.grad[1].tolist() == [0, 0, 0]
    assert torch.isfinite(head.weight.grad).all()


def test_cosines_pass_gradcheck_also_for_dense_features():
    torch.manual_seed(0)
    head = CosineClassifier(4, 3).double()
    features = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)

    def cosines(h, w):
        return torch.func.functional_call(head, {"weight": w}, (h,))

    assert cosines(features, head.weight).shape == (2, 5, 3)
    assert torch.autograd.gradcheck(cosines, (features, head.weight))


@pytest.mark.slow
def test_a_cosine_head_is_copied_saved_compiled_and_moved_in_dtype():
    head = CosineClassifier(4, 3)
    features = torch.randn(2, 4)
    other = CosineClassifier(4, 3)
    other.load_state_dict(head.state_dict())
    for same in (other, deepcopy(head), torch.compile(head, backend="aot_eager", fullgraph=True)):
        torch.testing.assert_close(same(features), head(features))
    with pytest.raises(ValueError, match="in_features must be >= 1, got 0"):
        CosineClassifier(0, 3)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
        self.top = nn.ModuleDict({"classifier": nn.Sequential(nn.Dropout(0.1), nn.Linear(5, 4))})

    def forward(self, x):
        return self.top["classifier"](self.stem(x))


def test_swap_head_replaces_the_last_linear_layer_in_place():
    model = Nested().eval()
    stem = model.stem[0].weight
    assert swap_head(model, CosineClassifier) is model
    new = model.top["classifier"][1]
    assert isinstance(new, CosineClassifier)
    assert (new.in_features, new.out_features) == (5, 4)
    assert not new.training
    assert model.stem[0].weight is stem
    assert model(torch.randn(3, 6)).abs().max() <= 1 + 1e-6


def test_swap_head_finds_a_cosine_head_again_and_not_a_hidden_layer():
    model = swap_head(swap_head(Nested(), CosineClassifier), nn.Linear)
    assert isinstance(model.top["classifier"][1], nn.Linear)
    assert isinstance(model.stem[0], nn.Linear)
    assert model.stem[0].in_features == 6


def test_swap_head_puts_class_means_in_and_takes_them_out_again():
    model = swap_head(Nested().double(), NearestClassMean)
    assert isinstance(model.top["classifier"][1], NearestClassMean)
    assert model.top["classifier"][1].means.dtype == torch.float64
    swap_head(model, nn.Linear)
    assert model.top["classifier"][1].weight.dtype == torch.float64


def test_swap_head_takes_a_class_a_factory_or_a_module():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    swap_head(model, lambda d, c: nn.Sequential(CosineClassifier(d, c), LearnableScale(c)))
    assert isinstance(model[2][1], LearnableScale)
    ready = nn.Linear(5, 4, bias=False)
    assert swap_head(nn.Sequential(nn.Linear(5, 4)), ready)[0] is ready
    with pytest.raises(ValueError, match="head must have in_features=5 as the old one, got 3"):
        swap_head(nn.Sequential(nn.Linear(5, 4)), nn.Linear(3, 4))


def test_swap_head_takes_a_name():
    model = swap_head(Nested(), CosineClassifier, name="stem.0")
    assert isinstance(model.stem[0], CosineClassifier)
    assert isinstance(model.top["classifier"][1], nn.Linear)
    with pytest.raises(ValueError, match=r"name must be a module of the model, got 'fc'; .*top.classifier.1"):
        swap_head(Nested(), CosineClassifier, name="fc")
    with pytest.raises(ValueError, match="layer with in_features and out_features"):
        swap_head(Nested(), CosineClassifier, name="stem")


def test_swap_head_keeps_dtype_and_every_registration_of_the_head():
    model = nn.Module()
    model.a = nn.Linear(3, 2).double()
    model.b = model.a
    swap_head(model, CosineClassifier)
    assert model.a is model.b
    assert isinstance(model.a, CosineClassifier)
    assert model.a.weight.dtype == torch.float64


def test_models_without_a_head_are_refused():
    with pytest.raises(ValueError, match=r"model must contain an nn.Linear .* got none in Sequential"):
        swap_head(nn.Sequential(nn.ReLU()), CosineClassifier)
    with pytest.raises(ValueError, match="model must contain its head, got a bare Linear"):
        swap_head(nn.Linear(3, 2), CosineClassifier)
    with pytest.raises(ValueError, match="run one batch through a lazy model"):
        swap_head(nn.Sequential(nn.LazyLinear(2)), CosineClassifier)


def test_all_names_are_there():
    assert all(hasattr(heads, name) for name in heads.__all__)
