"""KL(q(z) || N(0, I)) of trained Gaussian encoders, recomputed in float64 with nothing of the suite: numpy, safetensors
and scikit-learn's digits.

    python tests/helpers/mixture_kl.py results/quick

prints the suite's number beside it for every run there whose encoder is fully connected and whose pixels are no draws.
"""

import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

ACTIVATIONS = {
    "relu": lambda h: numpy.maximum(h, 0),
    "lrelu": lambda h: numpy.where(h > 0, h, 0.2 * h),
    "elu": lambda h: numpy.where(h > 0, h, numpy.expm1(numpy.minimum(h, 0))),
}


def images(dataset: str) -> numpy.ndarray:
    """Training images [n, pixels] as an encoder sees them."""
    if dataset == "4-point":
        return numpy.eye(4)
    order = numpy.random.default_rng(0).permutation(1797)[137:1437]  # behind 137 validation images
    return numpy.round(load_digits().images / 16 * 255)[order].reshape(-1, 64) / 255


def gaussians(
    weights: dict[str, numpy.ndarray], encoder: dict, x: numpy.ndarray
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Means and standard deviations [n, latent] of q(z|x)."""
    w = {name.removeprefix("encoder."): value.astype(numpy.float64) for name, value in weights.items()}
    h = 2 * x - 1 if encoder["body"].get("centre") else x
    for layer in range(len(encoder["body"]["hidden"])):
        h = h @ w[f"body.layers.{2 * layer}.weight"].T + w[f"body.layers.{2 * layer}.bias"]
        h = ACTIVATIONS[encoder["body"].get("activation", "elu")](h)
    mean, log_sd = (h @ w[f"{name}.weight"].T + w[f"{name}.bias"] for name in ("mean", "log_sd"))
    return mean, encoder.get("min_sd", 0.0) + numpy.exp(log_sd)


def kl(mean: numpy.ndarray, sd: numpy.ndarray, draws: int, seed: int = 0) -> tuple[float, float]:
    """KL in nats and its standard error, by as many draws of z of each component."""
    random = numpy.random.default_rng(seed)
    values = []
    for one_mean, one_sd in zip(mean, sd, strict=True):
        for z in one_mean + one_sd * random.normal(size=(draws, mean.shape[1])):
            away = -0.5 * (((z - mean) / sd) ** 2).sum(1) - numpy.log(sd).sum(1)
            most = away.max()
            values.append(most + numpy.log(numpy.exp(away - most).mean()) + 0.5 * (z**2).sum())
    return float(numpy.mean(values)), float(numpy.std(values) / len(values) ** 0.5)


def recomputed(folder: Path) -> tuple[float, float] | None:
    """KL and error of the run in `results/<profile>/<run>/seed<k>`; None where this file does not know the encoder."""
    specification = json.loads((folder / "run.json").read_text())["specification"]
    encoder = specification["components"].get("encoder", {})
    known = encoder.get("class", "").endswith(":GaussianEncoder") and encoder["body"]["class"].endswith(":MLP")
    if not known or specification["dataset"] not in ("4-point", "digits-grey"):
        return None
    x = images(specification["dataset"])
    weights = load_file(folder / "weights.safetensors")
    return kl(*gaussians(weights, encoder, x), draws=max(4, 40_000 // len(x)))


def main(results: Path) -> None:
    for path in sorted(results.glob("*/seed*/aggregated_kl.json")):
        found = recomputed(path.parent)
        if found is not None:
            ours = json.loads(path.read_text())["results"][-1]
            value, error = found
            apart = (ours["value"] - value) / (error**2 + ours["standard_error"] ** 2) ** 0.5
            print(
                f"{path.parent.relative_to(results)}: {ours['value']:.4f}, here {value:.4f} ± {error:.4f}: {apart:+.1f}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
