"""The step of these optimisers: losses from the closure, weights, one backward pass, torch's update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from longtail.facts.types import Progress
from longtail.instance_weights import InstanceWeighting

WEIGHTING = "weighting"


class Weighted(torch.optim.Optimizer):
    """A mixin before an optimiser of torch, whose step then descends the weighted losses.

    `weighting` holds the running state, saved in `state_dict()` beside torch's. Assign another
    (`instance_weights.ABSGD(5.0, 0.1, alpha=0.5)`, or a relative) for options that the constructor does not
    have.
    """

    weighting: InstanceWeighting

    def step(  # type: ignore[override]
        self,
        closure: Callable[[], Tensor] | None = None,
        *,
        kept: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Clear the gradients, weigh the losses that `closure` returns, go backward and update.

        Args:
            closure: computes and returns one loss per example, (N,), with their graph; it neither clears
                gradients nor goes backward.
            kept: bool, shaped like the losses; False leaves a loss out.
            progress: epoch / epochs, where lam or gamma is a schedule.

        Returns:
            The weighted scalar, detached.

        Raises:
            TypeError: no closure, or one that does not return a tensor.
            ValueError: a closure that returns the mean instead of the losses.
        """
        if closure is None:
            raise TypeError(
                f"{type(self).__name__}.step needs a closure that returns one loss per example, got None; write "
                "optimizer.step(lambda: loss.per_example(model(x), y)), or weigh the losses yourself with "
                "longtail.instance_weights.ABSGD under a torch optimiser"
            )
        with torch.enable_grad():
            self.zero_grad(set_to_none=True)
            losses = closure()
            if not isinstance(losses, Tensor):
                raise TypeError(
                    f"the closure must return the losses as a tensor, got {type(losses).__name__}; return them"
                )
            loss: Tensor = self.weighting(losses, kept=kept, progress=progress)
            loss.backward()  # type: ignore[no-untyped-call]
        self._descend()
        return loss.detach()

    def _descend(self) -> None:
        """Run the update of torch's optimiser without its hooks, which this step runs already."""
        step = super().step.__func__  # type: ignore[attr-defined]
        if getattr(step, "hooked", False):
            step = step.__wrapped__
        step(self)

    def state_dict(self) -> dict[str, Any]:
        """Return torch's state and the weighting's."""
        return {**super().state_dict(), WEIGHTING: dict(self.weighting.state_dict())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state.

        Raises:
            ValueError: the state of another optimiser.
        """
        if WEIGHTING not in state_dict:
            raise ValueError(
                f'state_dict must hold "{WEIGHTING}", got {", ".join(map(str, state_dict))}; '
                f"load what {type(self).__name__}.state_dict() returned"
            )
        super().load_state_dict({name: value for name, value in state_dict.items() if name != WEIGHTING})
        self.weighting.load_state_dict(state_dict[WEIGHTING])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), WEIGHTING: self.weighting}
