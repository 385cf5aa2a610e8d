"""A step ahead: how the loss after a plain gradient step depends on the weights of the examples in that step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

Ahead = Callable[..., Any]
"""The model, called with its own arguments, at the parameters after the look-ahead step."""
MetaLoss = Callable[[Ahead], Tensor]
"""The model after the look-ahead step -> its mean loss on a meta batch, a scalar."""


def weight_gradient(
    losses: Tensor,
    weights: Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    meta_loss: MetaLoss,
    *,
    layer: str | None = None,
) -> Tensor:
    """Return dM(w') / d weights_i = -sum_p lr_p <dl_i / dw_p, dM / dw'_p>, (B,): exact, by a second derivative.

    w'_p = w_p - lr_p d/dw_p sum_i weights_i l_i

    M is the meta loss and lr_p the learning rate of the group of parameter p; momentum and weight decay take no part.
    Nothing is changed: neither parameters and their gradients nor buffers, whose copies the meta loss uses. Batch norms
    in training mode therefore normalise by the statistics of the meta batch, and their running statistics do not move.
    The graph of the losses stays, to descend them afterwards.

    Args:
        losses: l (B,) of `model` at its present parameters w, with their graph.
        weights: (B,), where the gradient is taken; detached.
        model: its parameters that `optimizer` trains move.
        optimizer: its groups have the learning rates; it makes no step.
        meta_loss: M.
        layer: name of the one module whose parameters move, such as the classifier; None for all.

    Raises:
        ValueError: the optimiser trains no parameter of the model, or of the layer.
    """
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    prefix = "" if layer is None else f"{layer}."
    moved = {n: p for n, p in model.named_parameters() if p.requires_grad and p in rates and n.startswith(prefix)}
    if not moved:
        what = "the model" if layer is None else f"layer {layer!r}"
        raise ValueError(f"optimizer must train parameters of {what}, got one that trains none; pass both of one loop")
    weights = weights.detach().requires_grad_()
    with torch.enable_grad():
        gradients = torch.autograd.grad(
            (weights * losses).sum(), list(moved.values()), create_graph=True, allow_unused=True
        )
        steps = {name: (rates[p], g) for (name, p), g in zip(moved.items(), gradients, strict=True) if g is not None}
        ahead = {name: (moved[name] - lr * g).detach().requires_grad_() for name, (lr, g) in steps.items()}
        others = {n: p.detach() for n, p in model.named_parameters() if n not in ahead}
        copies = {name: buffer.clone() for name, buffer in model.named_buffers()}

        def call(*args: Any, **kwargs: Any) -> Any:
            return functional_call(model, {**others, **copies, **ahead}, args, kwargs)

        meta = torch.autograd.grad(meta_loss(call), list(ahead.values()), allow_unused=True)
        # w' is linear in the weights, so that the chain rule needs the meta gradient as a constant alone
        terms = [(lr * m * g).sum() for m, (lr, g) in zip(meta, steps.values(), strict=True) if m is not None]
        (slope,) = torch.autograd.grad(torch.stack(terms).sum(), weights)
    return -slope
