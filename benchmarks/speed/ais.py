"""AIS: chain-temperatures per second, ten leapfrog steps each, 512 chains, and where the time goes.

python -m benchmarks.speed.ais [--profile-ops]
"""

import argparse
import statistics
import time

import torch
from torch import nn

from benchmarks.metrics.estimators.annealing import Start, State, Steps, run_chain, schedule
from benchmarks.metrics.estimators.likelihoods import likelihood_for
from methods.networks.bodies import MLP, DeconvStack
from methods.networks.decoders import BernoulliDecoder


def decoders() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """A fully connected decoder 32-200-200-784, and a DCGAN-like one 32 -> 2x2 -> 32x32 of 39 million MACs."""
    full = BernoulliDecoder((1, 28, 28), 32, MLP((32,), [200, 200], "relu"))
    shape = (3, 32, 32)
    convolutional = BernoulliDecoder(shape, 32, DeconvStack((32,), shape, [512, 256, 128, 64], [2, 2, 2, 2], 4))
    return {"fully connected": (full, (1, 28, 28)), "DCGAN-like": (convolutional, shape)}


def once(decoder, x_shape, chains: int, temperatures: int, precision: str) -> float:
    """Chain-temperatures per second of one run."""
    x = torch.bernoulli(torch.full((chains, *x_shape), 0.3))
    likelihood = likelihood_for(decoder, x, precision)
    zero = torch.zeros(chains, 32)
    start = Start(zero, zero + 1)
    with torch.no_grad():
        z = start.draw()
        value, grad = likelihood(z, True)
        if value is None:
            raise TypeError("a likelihood that is asked for its value must give one")
        steps = Steps(torch.full((1, chains), 0.05))
        began = time.perf_counter()
        run_chain(schedule(temperatures, "linear"), State(z, value, grad), start, likelihood, steps, 10)
    return chains * (temperatures - 1) / (time.perf_counter() - began)


def autograd_peer(decoder, x_shape, chains: int, temperatures: int) -> float:
    """The same chain written plainly: log-joint by torch.distributions, one autograd.grad a leapfrog step."""
    x = torch.bernoulli(torch.full((chains, *x_shape), 0.3))
    z = torch.randn(chains, 32)

    def log_f(z: torch.Tensor, b: float) -> torch.Tensor:
        return decoder.log_prior(z) + b * decoder(z).log_prob(x)

    began = time.perf_counter()
    for b in schedule(temperatures, "linear")[1:]:
        v, current = torch.randn_like(z), z
        with torch.no_grad():
            before = log_f(z, b) - 0.5 * v.square().sum(1)
        for _ in range(11):
            current = current.detach().requires_grad_()
            (force,) = torch.autograd.grad(log_f(current, b).sum(), current)
            v = v + 0.05 * force
            current = current.detach() + 0.05 * v
        with torch.no_grad():
            after = log_f(current, b) - 0.5 * v.square().sum(1)
            accept = torch.rand(chains).log() < after - before
            z = torch.where(accept[:, None], current, z)
    return chains * temperatures / (time.perf_counter() - began)


def main() -> None:
    """Medians of five interleaved runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile-ops", action="store_true", help="print where the time goes")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    for name, (decoder, x_shape) in decoders().items():
        decoder.requires_grad_(False)
        fast, temperatures = name == "fully connected", 40 if name == "fully connected" else 3
        plain, ours, half = [], [], []
        for _ in range(arguments.repeats):
            plain.append(autograd_peer(decoder, x_shape, 512, max(2, temperatures // 3)))
            ours.append(once(decoder, x_shape, 512, temperatures, "float32"))
            half.append(once(decoder, x_shape, 512, temperatures, "bfloat16"))
        p, o, h = (statistics.median(v) for v in (plain, ours, half))
        print(f"{name}: plain autograd {p:,.0f}/s; ours float32 {o:,.0f}/s ({o / p:.1f}x), "
              f"bfloat16 forces {h:,.0f}/s ({h / p:.1f}x)", flush=True)  # fmt: skip
        if arguments.profile_ops:
            with torch.profiler.profile() as record:
                once(decoder, x_shape, 512, 4 if fast else 2, "float32")
            print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=10))


if __name__ == "__main__":
    main()
