"""Annealed importance sampling (Neal 2001) with Hamiltonian moves, batched over images and chains.

Path: log f_b(z) = b log p(x, z) + (1 - b) log q0(z), every end normalised, so that the mean weight is p(x).
A leapfrog step needs one forward and one backward pass and never waits for the device: the gradients of
q0 and of N(0, I) are written out, the log-likelihood's comes from one vector-Jacobian product, and its value
is computed at the end of a trajectory only. A decoder's prior that is not N(0, I) is a factor of the likelihood:
log p(x|z) + log p(z) - log N(z; 0, I), which `likelihood_for` sees to.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from benchmarks.metrics.estimators.likelihoods import Likelihood
from methods.terms import log_normal, log_standard_normal

TEMPERATURES, FIRST, EACH = 20, 30, 4  # of the pilot: temperatures at most, and moves at the first and at each
GAIN, LARGEST = 0.5, 3.0  # of its adaptation, and of the step it may find in units of q0's sd


@dataclass(frozen=True)
class Start:
    """q0(z) = N(mean, diag sd^2), one row for each chain [chains, latent]."""

    mean: Tensor
    sd: Tensor

    def draw(self) -> Tensor:
        """One z for each chain."""
        return self.mean + self.sd * torch.randn_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q0(z) [chains]."""
        return log_normal(z, self.mean, self.sd.square())

    def gradient(self, z: Tensor) -> Tensor:
        """Gradient of log q0 [chains, latent]."""
        return (self.mean - z) / self.sd.square()


def schedule(distributions: int, kind: Literal["linear", "sigmoid"]) -> list[float]:
    """`distributions` + 1 values of b from 0 to 1; sigmoid with radius 4 as in Wu et al. 2017."""
    t = torch.linspace(0, 1, distributions + 1, dtype=torch.float64)
    if kind == "sigmoid":
        s = torch.sigmoid(4 * (2 * t - 1))
        t = (s - s[0]) / (s[-1] - s[0])
    return t.tolist()


@dataclass
class State:
    """A position with everything cached that the next temperature needs; the likelihood is relative to N(0, I)."""

    z: Tensor
    log_likelihood: Tensor
    grad: Tensor

    @classmethod
    def at(cls, z: Tensor, likelihood: Likelihood) -> "State":
        """The state at z [chains, latent]; RuntimeError if `likelihood` gives no value there."""
        value, grad = likelihood(z, True)
        if value is None:
            raise RuntimeError("a likelihood that is asked for its value gave none")
        return cls(z, value, grad)

    def log_joint(self) -> Tensor:
        """log p(x, z) [chains]."""
        return self.log_likelihood + log_standard_normal(self.z)


def hamiltonian_move(
    state: State, b: float, step: Tensor, start: Start, likelihood: Likelihood, leapfrogs: int
) -> tuple[State, Tensor]:
    """One HMC move that leaves f_b invariant; the new state and whether each chain accepted [chains].

    `step` [chains, 1] scales with q0's standard deviation (a diagonal mass matrix); each chain's is jittered by
    up to 30 %, which no state depends on: with one fixed length, trajectories of a sharp posterior close on
    themselves, and AIS from the prior loses 0.6 nat more in 32 dimensions.
    """
    jitter = 0.7 + 0.6 * torch.rand(len(step), 1, dtype=step.dtype, device=step.device)  # against periodic orbits
    eps = jitter * step * start.sd

    def force(z: Tensor, grad: Tensor) -> Tensor:
        return b * (grad - z) + (1 - b) * start.gradient(z)

    def energy(s: State, v: Tensor) -> Tensor:
        return -(b * s.log_joint() + (1 - b) * start.log_prob(s.z)) + 0.5 * v.square().sum(1)

    momentum = torch.randn_like(state.z)
    z = state.z
    v = momentum + 0.5 * eps * force(z, state.grad)
    for _ in range(leapfrogs - 1):
        z = z + eps * v
        v = v + eps * force(z, likelihood(z, False)[1])
    proposal = State.at(z + eps * v, likelihood)
    v = v + 0.5 * eps * force(proposal.z, proposal.grad)
    log_ratio = energy(state, momentum) - energy(proposal, v)
    # NaN compares false: a proposal that overflowed is rejected, and `where` keeps it out of the state
    accept = torch.rand_like(log_ratio).log() < log_ratio
    chosen = State(
        torch.where(accept[:, None], proposal.z, state.z),
        torch.where(accept, proposal.log_likelihood, state.log_likelihood),
        torch.where(accept[:, None], proposal.grad, state.grad),
    )
    return chosen, accept


@dataclass(frozen=True)
class Steps:
    """Step sizes [temperatures, chains]: adapted in a pilot run, then frozen, so that weights stay unbiased."""

    table: Tensor

    def at(self, share: float) -> Tensor:
        """Step [chains, 1] at this share of the way."""
        index = min(int(share * len(self.table)), len(self.table) - 1)
        return self.table[index, :, None]

    def observe(self, accepted: Tensor) -> None:
        """Frozen: the run itself changes nothing."""


class AdaptingSteps:
    """The authors' way: one step for all chains, a tenth up or down after each move, towards 60 to 70 % accepted.

    Steps that depend on the chains' past make the weights slightly biased; hence a protocol of its own.
    """

    def __init__(self, z: Tensor):
        self.step = z.new_full((len(z), 1), 0.01)

    def at(self, share: float) -> Tensor:
        """Step [chains, 1]."""
        return self.step

    def observe(self, accepted: Tensor) -> None:
        """Adapt to the share of chains that accepted the last move."""
        self.step = self.step * (1 + 0.1 * (accepted > 0.7).float()) / (1 + 0.1 * (accepted < 0.6).float())


def run_chain(
    betas: list[float],
    state: State,
    start: Start,
    likelihood: Likelihood,
    steps: Steps | AdaptingSteps,
    leapfrogs: int,
) -> tuple[Tensor, Tensor, State]:
    """Log weights [chains] (float64) along `betas` in either direction, acceptance share, final state."""
    log_weight = torch.zeros(len(state.z), dtype=torch.float64, device=state.z.device)
    accepted = torch.zeros((), device=state.z.device)
    last = len(betas) - 2
    for i in range(len(betas) - 1):
        difference = state.log_joint().double() - start.log_prob(state.z).double()
        log_weight += (betas[i + 1] - betas[i]) * difference
        if i < last:  # a move after the last weight would be for nothing
            b = betas[i + 1]
            state, accept = hamiltonian_move(state, b, steps.at(b), start, likelihood, leapfrogs)
            share = accept.float().mean()
            steps.observe(share)
            accepted += share
    return log_weight, accepted / max(last, 1), state


def pilot(
    start: Start,
    likelihood: Likelihood,
    chains: int,
    leapfrogs: int,
    temperatures: int,
    kind: Literal["linear", "sigmoid"],
    target: float = 0.65,
) -> Steps:
    """Adapt one step size for each image on a throw-away run towards `target` acceptance.

    Rows of one image are `chains` neighbours; their acceptance is pooled. FIRST moves find the step at the first
    temperature, EACH follow it at every other; the mean of the later half of each counts (Robbins & Monro 1951).
    """
    z = start.draw()
    state = State.at(z, likelihood)
    log_step = torch.full((len(z) // chains,), math.log(0.2), device=z.device, dtype=z.dtype)
    path, found = schedule(temperatures, kind)[1:], []
    for b in path:
        tried = []
        for move in range(EACH if found else FIRST):
            step = log_step.exp().repeat_interleave(chains)[:, None]
            state, accept = hamiltonian_move(state, b, step, start, likelihood, leapfrogs)
            share = accept.to(z.dtype).reshape(-1, chains).mean(1)
            gain = GAIN if found else max(GAIN, 2.0 / (1 + move))
            log_step = (log_step + gain * (share - target)).clamp(math.log(1e-4), math.log(LARGEST))
            tried.append(log_step)
        found.append(torch.stack(tried[len(tried) // 2 :]).mean(0))
    # average out the pilot's noise over a tenth of the path, then look up by b on an even grid
    half = max(1, temperatures // 20)
    smooth = torch.stack([torch.stack(found[max(0, i - half) : i + half + 1]).mean(0) for i in range(len(found))])
    nearest = [min(bisect_left(path, i / (temperatures - 1)), temperatures - 1) for i in range(temperatures)]
    return Steps(smooth[nearest].exp().repeat_interleave(chains, 1))


def annealed_importance_sampling(
    start: Start,
    likelihood: Likelihood,
    chains: int,
    distributions: int = 1000,
    leapfrogs: int = 10,
    kind: Literal["linear", "sigmoid"] = "linear",
    posterior_draws: Tensor | None = None,
    adaptation: Literal["pilot", "in-run"] = "pilot",
) -> tuple[Tensor, Tensor]:
    """Log weights [images, chains] (float64) of p(x), and the acceptance share.

    With `posterior_draws` [images * chains, latent], exact draws of p(z|x) for simulated x, the chain runs
    backwards and the result bounds log p(x) from above (BDMC; Grosse et al. 2015): use `upper_bound`.
    """
    with torch.no_grad():
        steps: Steps | AdaptingSteps = AdaptingSteps(start.mean)
        if adaptation == "pilot":
            steps = pilot(start, likelihood, chains, leapfrogs, min(TEMPERATURES, max(5, distributions // 10)), kind)
        betas = schedule(distributions, kind)
        z = start.draw() if posterior_draws is None else posterior_draws
        betas = betas if posterior_draws is None else betas[::-1]
        weights, acceptance, _ = run_chain(betas, State.at(z, likelihood), start, likelihood, steps, leapfrogs)
    return weights.reshape(-1, chains), acceptance
