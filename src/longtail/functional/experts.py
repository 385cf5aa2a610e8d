"""How far experts are from their mean, per example."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.functional.mixtures import widen


def expert_diversity(logits: Tensor, temperature: Tensor) -> Tensor:
    """sum_e mean(T)^2 KL( softmax(m / T) || softmax(z_e / T) ), m = (1/E) sum_e z_e, held constant in the gradient.

    T may differ from class to class: z / T divides the logit of class j by T_j.

    Args:
        logits: z (N, E, C) of E experts.
        temperature: T (C,), > 0.

    Returns:
        (N,), >= 0, and 0 for one expert.

    Reference: Wang et al., Long-tailed Recognition by Routing Diverse Distribution-Aware Experts, ICLR 2021, eq. 2-3,
    as in their code, which measures from the mean of all experts and multiplies by mean(T)^2; in the paper each pair of
    experts is compared.
    """
    z = widen(logits)
    t = temperature.to(z.device, z.dtype)
    mean = (z.mean(1, keepdim=True).detach() / t).log_softmax(-1)
    each = (z / t).log_softmax(-1)
    return t.mean() ** 2 * torch.nn.functional.kl_div(each, mean, reduction="none", log_target=True).sum((1, 2))


def tail_temperature(counts: Tensor, share: float = 0.05) -> Tensor:
    """T_j = (share C pi_j + 1 - share) / max_k (share C pi_k + 1 - share), (C,) float64: the rarer, the lower.

    Args:
        counts: n (C,), pi = n / sum n.
        share: in [0, 1); 0 is T = 1 for every class.

    Reference: as in `expert_diversity`; the paper subtracts the maximum where the code divides by it.
    """
    n = counts.double()
    raw = share * len(n) * n / n.sum() + 1 - share
    return raw / raw.max()
