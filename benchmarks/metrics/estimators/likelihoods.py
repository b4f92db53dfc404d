"""log p(x|z) and its gradient in z, as fast as the decoder allows: what a leapfrog step costs.

A force may be wrong and the chain still exact: a leapfrog step stays reversible and volume-preserving with
any deterministic force, and the accept step uses float32 energies. Hence bf16 forces on convolutional nets.

Annealing adds log N(z; 0, I). Where a decoder's p(z) is another one, what is given here is log p(x|z) with the tilt
log p(z) - log N(z; 0, I), so that both together are log p(x, z); the tilt's gradient comes from the same backward pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from methods.networks.decoders import has_standard_prior
from methods.terms import log_standard_normal, softplus

Likelihood = Callable[[Tensor, bool], tuple[Tensor | None, Tensor]]
Tilt = Callable[[Tensor], Tensor]


def any_likelihood(log_likelihood: Callable[[Tensor], Tensor]) -> Likelihood:
    """Of any differentiable log p(x|z), by autograd."""

    def evaluate(z: Tensor, want_value: bool) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = log_likelihood(z)
            (grad,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), grad

    return evaluate


def bernoulli_value(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x|logits) [chains]."""
    return (x * logits - softplus(logits)).sum(1)


def bernoulli_likelihood(
    logits: Callable[[Tensor], Tensor], x: Tensor, precision: str = "float32", tilt: Tilt | None = None
) -> Likelihood:
    """Bernoulli log p(x|z): d/dlogits is x - sigmoid(logits), so inner steps skip the loss itself."""
    x = x.flatten(1)
    kind = x.device.type

    def force(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
            z = z.detach().requires_grad_()
            outputs = [logits(z)]
            vectors = [(x - torch.sigmoid(outputs[0].detach().float())).to(outputs[0].dtype)]
            if tilt is not None:
                outputs.append(tilt(z))
                vectors.append(torch.ones_like(outputs[1]))
            (grad,) = torch.autograd.grad(outputs, z, vectors)
        return outputs[0].detach(), grad

    def evaluate(z: Tensor, want_value: bool) -> tuple[Tensor | None, Tensor]:
        out, grad = force(z)
        if not want_value:
            return None, grad
        out = out if precision == "float32" else logits(z)  # energies always in full precision
        value = bernoulli_value(out, x)
        return value if tilt is None else value + tilt(z).detach(), grad

    return evaluate


def relu_layers(decoder: nn.Module) -> list[nn.Linear] | None:
    """The linear layers of a decoder that is Linear-ReLU-...-Linear; None if it is anything else."""
    body, head = getattr(decoder, "body", None), getattr(decoder, "head", None)
    modules = [m for m in (*body.modules(), head) if not list(m.children())] if body is not None and head else []
    linears = [m for m in modules if isinstance(m, nn.Linear)]
    rest = [m for m in modules if not isinstance(m, nn.Linear)]
    alternate = len(linears) == len(rest) + 1 and all(isinstance(m, nn.ReLU) for m in rest)
    return linears if alternate and not getattr(body, "centre", False) else None


def relu_likelihood(layers: list[nn.Linear], x: Tensor) -> Likelihood:
    """Bernoulli pixels behind Linear-ReLU layers, the backward pass written out: no graph is built."""
    x = x.flatten(1)
    weights = [layer.weight.detach() for layer in layers]
    biases = [layer.bias.detach() for layer in layers]

    def evaluate(z: Tensor, want_value: bool) -> tuple[Tensor | None, Tensor]:
        hidden = [z]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden.append(torch.addmm(bias, hidden[-1], weight.T).relu_())
        out = torch.addmm(biases[-1], hidden[-1], weights[-1].T)
        value = bernoulli_value(out, x) if want_value else None
        grad = torch.sub(x, out.sigmoid_()) @ weights[-1]
        for weight, h in zip(reversed(weights[:-1]), reversed(hidden[1:]), strict=True):
            grad = torch.where(h > 0, grad, 0.0) @ weight
        return value, grad

    return evaluate


def tilt_of(decoder) -> Tilt | None:
    """log p(z) - log N(z; 0, I) [chains] of the decoder's prior, nats; None where that is N(0, I)."""
    return None if has_standard_prior(decoder) else lambda z: decoder.log_prior(z) - log_standard_normal(z)


def likelihood_for(decoder, x: Tensor, precision: str = "float32") -> Likelihood:
    """The fastest way that this decoder allows, with the tilt of its prior."""
    tilt = tilt_of(decoder)
    if not hasattr(decoder, "logits"):
        return any_likelihood(lambda z: decoder.log_likelihood(x, z) + (0 if tilt is None else tilt(z)))
    layers = relu_layers(decoder)
    if layers is not None and precision == "float32" and tilt is None:
        return relu_likelihood(layers, x)
    return bernoulli_likelihood(decoder.logits, x, precision, tilt)
