"""`python -m benchmarks.metrics.measured_errors`: errors where the truth is known.

Each line is the mean error over repeats and the spread of one estimate, at the sizes that the profiles use.
"""

import math
from collections.abc import Callable, Iterator

import numpy
import torch
from torch import Tensor

from benchmarks.metrics.estimators.annealing import Start, annealed_importance_sampling
from benchmarks.metrics.estimators.knn import knn_kl, log_densities
from benchmarks.metrics.estimators.likelihoods import any_likelihood
from benchmarks.metrics.estimators.mmd import kernel_distance
from benchmarks.metrics.estimators.scores import frechet_distance, inception_scores, moments
from benchmarks.metrics.kl_to_posterior import enclosure
from benchmarks.metrics.trained import Estimate
from benchmarks.posteriors import EightSchools
from methods.terms import log_mean_exp

Line = tuple[str, str, float, Callable[[numpy.random.Generator], float], int]
FEATURES = 64


def divergences() -> Iterator[Line]:
    """k-NN KL of Gaussians: (what, case, truth, estimate, repeats)."""
    for d in (2, 10, 32):
        for shift, scale in ((0.0, 1.0), (0.5, 1.0), (0.0, 2.0), (0.0, 0.5)):
            truth = d * ((1 + shift**2) / scale**2 - 1 + 2 * math.log(scale)) / 2

            def estimate(random, d=d, shift=shift, scale=scale) -> float:
                return knn_kl(random.normal(size=(4000, d)), random.normal(shift, scale, size=(4000, d)))

            yield "k-NN KL, n = 4000", f"N(0, I) to N({shift}, {scale}^2 I), {d} dimensions", truth, estimate, 3


def known_divergences(draws: int = 100_000) -> dict[str, tuple[Callable[[Tensor], Tensor], float]]:
    """Case -> (map of exact draws z [n, 10] of Eight Schools, KL(q || p) in nats of what it makes of them).

    The density of the map's result is that of z over the map's |det|, so that the KL is a mean over exact draws.
    """
    problem = EightSchools()
    z = problem.exact_draws(draws, torch.Generator().manual_seed(1))
    centre = z.mean(0)
    sheet = torch.eye(10, dtype=torch.float64)
    sheet[2, 2] = 0.2

    def one_mode(z: Tensor) -> Tensor:
        return torch.cat([z[:, :1], z[:, 1:] * z[:, 1:2].sign()], 1)

    def bent(z: Tensor) -> Tensor:
        return torch.cat([z[:, :2], z[:, 2:3] + 1.5 * (z[:, :1] - centre[0]).square(), z[:, 3:]], 1)

    maps: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {  # and log |det|
        "as they are": (lambda z: z, 0.0),
        "one mode": (one_mode, -math.log(2)),
        "1.15 times as wide": (lambda z: centre + 1.15 * (z - centre), 10 * math.log(1.15)),
        "0.85 times as wide": (lambda z: centre + 0.85 * (z - centre), 10 * math.log(0.85)),
        "bent": (bent, 0.0),
        "a thin sheet": (lambda z: centre + (z - centre) @ sheet, math.log(0.2)),
    }
    log_p = problem.log_posterior(z)
    return {
        case: (change, float((log_p - log_det - problem.log_posterior(change(z))).mean()))
        for case, (change, log_det) in maps.items()
    }


def enclosures() -> Iterator[Line]:
    """Ends of the interval of `kl_to_posterior` for draws whose KL is known."""
    problem, n = EightSchools(), 10_000

    def interval(change: Callable[[Tensor], Tensor], seed: int) -> Estimate:
        generator = torch.Generator().manual_seed(seed)
        z, exact = change(problem.exact_draws(n, generator)), problem.exact_draws(n, generator)
        at_posterior = log_densities(exact.numpy()) - problem.log_posterior(exact).numpy()
        return enclosure(z.numpy(), problem.log_posterior(z).numpy(), at_posterior)

    for case, (change, truth) in known_divergences().items():
        for end in ("low", "high"):

            def estimate(random, change=change, end=end) -> float:
                return getattr(interval(change, int(random.integers(2**31))), end)

            yield f"KL to posterior, {end} end, n = {n}", f"exact draws, {case}", truth, estimate, 3


def distances() -> Iterator[Line]:
    """Frechet and kernel distance of equal distributions, and the score of ten sure classes."""
    for n in (256, 1000, 4000):

        def frechet(random, n=n) -> float:
            x, y = random.normal(size=(n, FEATURES)), random.normal(size=(4000, FEATURES))
            return frechet_distance(moments(x), moments(y))

        def kernel(random, n=n) -> float:
            x, y = random.normal(size=(n, FEATURES)), random.normal(size=(n, FEATURES))
            return kernel_distance(x, y, 20, n // 2, "").value

        case = f"equal N(0, I) of {FEATURES} features, n = {n}"
        yield "Frechet distance to 4000", case, 0.0, frechet, 5
        if n < 4000:
            yield "kernel distance", case, 0.0, kernel, 5
    for n in (64, 100, 1000):

        def score(random, n=n) -> float:
            return float(inception_scores(numpy.eye(10)[random.integers(10, size=n)], 1)[0])

        yield "inception score, a split", f"ten sure classes, n = {n}", 10.0, score, 20


def annealing_error(latent: int, distributions: int, seed: int) -> float:
    """Mean error of AIS (5 chains from the prior) over 50 images of 20 pixels with a linear-Gaussian decoder, nats."""
    torch.manual_seed(seed)
    w, noise = torch.randn(20, latent, dtype=torch.float64) / latent**0.5, 0.3
    x = torch.randn(50, latent, dtype=torch.float64) @ w.T + noise * torch.randn(50, 20, dtype=torch.float64)
    marginal = w @ w.T + noise**2 * torch.eye(20, dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(torch.zeros(20, dtype=torch.float64), marginal).log_prob(x)
    wide, zero = x.repeat_interleave(5, 0), torch.zeros(250, latent, dtype=torch.float64)
    likelihood = any_likelihood(lambda z: torch.distributions.Normal(z @ w.T, noise).log_prob(wide).sum(1))
    weights, _ = annealed_importance_sampling(Start(zero, zero + 1), likelihood, 5, distributions)
    return float((log_mean_exp(weights, 1) - exact).mean())


def annealings() -> Iterator[Line]:
    """AIS of the linear-Gaussian model."""
    for latent in (2, 8):
        for distributions in (200, 1000):

            def estimate(random, latent=latent, distributions=distributions) -> float:
                return annealing_error(latent, distributions, int(random.integers(2**31)))

            case = f"linear-Gaussian, {latent} latent dimensions, T = {distributions}, 5 chains from the prior"
            yield "AIS, mean of 50 images, nats", case, 0.0, estimate, 3


def table() -> str:
    """The measured errors as Markdown."""
    rows = ["| estimate | where | truth | mean error | sd of one |", "|---|---|---|---|---|"]
    for what, case, truth, estimate, repeats in (*divergences(), *enclosures(), *distances(), *annealings()):
        found = numpy.array([estimate(numpy.random.default_rng(seed)) for seed in range(repeats)])
        rows.append(f"| {what} | {case} | {truth:.3g} | {found.mean() - truth:+.2g} | {found.std(ddof=1):.2g} |")
    return "\n".join(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
