"""A step ahead: how the loss after a plain gradient step depends on the weights of the examples in that step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from longtail.updates.forward_mode import dual, forward_mode, parts
from longtail.updates.randomness import Draws

Ahead = Callable[..., Any]
"""The model, called with its own arguments, at its own or at other parameters."""
Losses = Callable[[Ahead], Tensor]
"""The model -> its losses (B,) on a batch."""
MetaLoss = Callable[[Ahead], Tensor]
"""The model after the look-ahead step -> its mean loss on a meta batch, a scalar."""


@final
class LookAhead:
    """w'_p = w_p - lr_p d/dw_p sum_i weights_i l_i: the parameters after a step on weighted losses, not taken.

    lr_p is the learning rate of the group of parameter p; momentum and weight decay take no part. Nothing is changed:
    neither parameters and their gradients nor, but by the one pass that computes the losses, buffers. All other passes
    have copies of these: batch norms in training mode normalise the meta batch by its own statistics and record none.

    Args:
        losses: model -> l (B,). Called with the model, and for a derivative by all parameters once more, with the same
            random numbers.
        model: its parameters that `optimizer` trains move.
        optimizer: its groups have the learning rates; it makes no step.
        meta_loss: M.
        layer: name of the one module whose parameters move, such as the classifier; None for all.

    Attributes:
        losses: l (B,) at the present parameters, with their graph.

    Raises:
        ValueError: the optimiser trains no parameter of the model, or of the layer; losses that are not one number per
            example.
    """

    def __init__(
        self,
        losses: Losses,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        meta_loss: MetaLoss,
        *,
        layer: str | None = None,
    ) -> None:
        self._model, self._losses, self._meta_loss, self._layer = model, losses, meta_loss, layer
        rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
        prefix = "" if layer is None else f"{layer}."
        self._moved = {n: p for n, p in model.named_parameters() if p.requires_grad and p in rates}
        self._moved = {n: p for n, p in self._moved.items() if n.startswith(prefix)}
        self._rates = {n: rates[p] for n, p in self._moved.items()}
        if layer is not None and layer not in dict(model.named_modules()):
            raise ValueError(f"layer must be a module of the model, got {layer!r}; see model.named_modules()")
        if not self._moved:
            what = "the model" if layer is None else f"layer {layer!r}"
            raise ValueError(
                f"optimizer must train parameters of {what}, got one that trains none; pass both of one loop"
            )
        self._draws = Draws(model)
        self.losses = per_example(losses(model))

    def gradient(self, weights: Tensor | None = None) -> Tensor:
        """Return dM(w') / d weights_i = -sum_p lr_p <dl_i / dw_p, dM / dw'_p>, (B,): exact, at these weights.

        With all parameters it is the derivative of the losses along the meta gradient, by forward-mode differentiation:
        one pass on the batch. Where an operation of the model has none, and for a layer, whose part of the graph is
        small, it is the second derivative by two backward passes.

        Args:
            weights: (B,), where the gradient is taken; None for zeros: w' = w.
        """
        with torch.enable_grad():
            if self._layer is None:
                try:
                    return self._along_meta_gradient(weights)
                except NotImplementedError:  # no forward-mode derivative
                    pass
            return self._by_second_derivative(weights)

    def _along_meta_gradient(self, weights: Tensor | None) -> Tensor:
        meta = self._meta_gradient({} if weights is None else self._gradients(weights, again=False))
        with forward_mode(), self._draws.again():
            duals = {n: dual(self._moved[n].detach(), self._rates[n] * m) for n, m in meta.items()}
            losses, slope = parts(self._losses(self._at(duals)))
        return torch.zeros_like(losses) if slope is None else -slope

    def _by_second_derivative(self, weights: Tensor | None) -> Tensor:
        weights = torch.zeros_like(self.losses) if weights is None else weights.detach()
        moves = self._gradients(weights.requires_grad_(), again=True)
        meta = self._meta_gradient(moves)
        # w' is linear in the weights, so that the chain rule needs the meta gradient as a constant alone
        terms = [(self._rates[n] * meta[n] * g).sum() for n, g in moves.items() if n in meta]
        (slope,) = torch.autograd.grad(torch.stack(terms).sum(), weights, retain_graph=True)
        return -slope

    def _gradients(self, weights: Tensor, *, again: bool) -> dict[str, Tensor]:
        """Return the gradient of the weighted sum, by name; `again`: with the graph of its own derivative."""
        gradients = torch.autograd.grad(
            (weights * self.losses).sum(),
            list(self._moved.values()),
            retain_graph=True,
            create_graph=again,
            allow_unused=True,
        )
        return {n: g for n, g in zip(self._moved, gradients, strict=True) if g is not None}

    def _meta_gradient(self, moves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return dM / dw' by name, of the parameters that M depends on."""
        ahead = {n: p - self._rates[n] * moves[n] if n in moves else p for n, p in self._moved.items()}
        ahead = {n: p.detach().requires_grad_() for n, p in ahead.items()}
        loss = self._meta_loss(self._at(ahead))
        if loss.ndim:
            raise ValueError(f"meta_loss must return its mean, a scalar, got shape {tuple(loss.shape)}; call mean()")
        gradients = torch.autograd.grad(loss, list(ahead.values()), allow_unused=True)
        return {n: g for n, g in zip(ahead, gradients, strict=True) if g is not None}

    def _at(self, parameters: Mapping[str, Tensor]) -> Ahead:
        """Return the model at these parameters, with the others constant and copies of its buffers."""
        model = self._model
        others = {n: p.detach() for n, p in model.named_parameters() if n not in parameters}
        copies = {name: buffer.clone() for name, buffer in model.named_buffers()}

        def call(*args: Any, **kwargs: Any) -> Any:
            return functional_call(model, {**others, **copies, **parameters}, args, kwargs)

        return call


def per_example(losses: Tensor) -> Tensor:
    """Return losses (B,) as they are.

    Raises:
        ValueError: they are reduced.
    """
    if losses.ndim != 1:
        raise ValueError(f"losses must be one per example, (B,), got {tuple(losses.shape)}; use loss.per_example")
    return losses
