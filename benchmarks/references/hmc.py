"""Eight Schools by NUTS in NumPyro, with the checks that posteriordb asks of a reference.

Runs on the CPU only. NUTS is not trapped by the sign symmetry (tau, eta) -> (-tau, -eta), but tau mixes ten
times more slowly than |tau|: kept draws are thinned and their sign is flipped at random, an exact symmetry.
"""

import os
from typing import Any

import numpy

SITES = ("mu", "tau", "eta")


def sample(y: numpy.ndarray, sigma: numpy.ndarray, chains: int, draws: int, warmup: int, seed: int) -> Any:
    """A NumPyro MCMC object after sampling."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import numpyro
    import numpyro.distributions as dist

    numpyro.enable_x64()
    numpyro.set_host_device_count(1)

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        tau = numpyro.sample("tau", dist.Normal(0, 1))
        eta = numpyro.sample("eta", dist.Normal(0, 1).expand([len(y)]))
        numpyro.sample("y", dist.Normal(mu + tau * eta, sigma), obs=y)

    kernel = numpyro.infer.NUTS(model, target_accept_prob=0.9)
    mcmc = numpyro.infer.MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.PRNGKey(seed), extra_fields=("diverging", "energy"))
    return mcmc


def diagnostics(mcmc: Any, exact: numpy.ndarray) -> dict[str, float]:
    """R-hat, ESS, divergences, E-BFMI, balance of signs, and moments against exact draws in standard errors."""
    import arviz

    posterior = arviz.from_numpyro(mcmc)
    summary: Any = arviz.summary(posterior, kind="diagnostics", round_to="none")
    grouped = {k: numpy.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}
    tau = grouped["tau"]
    found = {
        "max R-hat": float(summary["r_hat"].max()),
        "min bulk ESS": float(summary["ess_bulk"].min()),
        "min tail ESS": float(summary["ess_tail"].min()),
        "divergences": float(numpy.asarray(mcmc.get_extra_fields()["diverging"]).sum()),
        "min E-BFMI": float(numpy.min(arviz.bfmi(posterior))),
        "least share of tau > 0 in a chain": float((tau > 0).mean(1).min()),
        "greatest share of tau > 0 in a chain": float((tau > 0).mean(1).max()),
    }
    sign = numpy.sign(tau)[..., None]
    quantities = {"mu": grouped["mu"], "abs tau": abs(tau), "tau squared": tau**2}
    quantities |= {f"eta_{j + 1} sign(tau)": (grouped["eta"] * sign)[..., j] for j in range(grouped["eta"].shape[-1])}
    truth = {"mu": exact[:, 0], "abs tau": abs(exact[:, 1]), "tau squared": exact[:, 1] ** 2}
    truth |= {f"eta_{j + 1} sign(tau)": exact[:, 2 + j] * numpy.sign(exact[:, 1]) for j in range(exact.shape[1] - 2)}
    for name, values in quantities.items():
        error = numpy.asarray(arviz.mcse(values, method="mean")).item()  # with numba an array of one element
        total = (error**2 + truth[name].var() / len(exact)) ** 0.5
        found[f"z-score of {name}"] = float((values.mean() - truth[name].mean()) / total)
    return found


def kept_draws(mcmc: Any, thin: int, seed: int) -> numpy.ndarray:
    """Thinned draws [n, 10], each flipped to the mirror mode with probability one half, in random order."""
    grouped = {k: numpy.asarray(v)[:, ::thin] for k, v in mcmc.get_samples(group_by_chain=True).items()}
    flat = [grouped[s].reshape(-1, grouped[s].shape[-1] if s == "eta" else 1) for s in SITES]
    z = numpy.concatenate(flat, 1)
    random = numpy.random.default_rng(seed)
    z[:, 1:] *= random.choice([-1.0, 1.0], size=(len(z), 1))
    return random.permutation(z)
