"""The papers' figures from records and artefacts: each function is a `kind` in benchmarks/papers/*/figures.yml."""

import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import matplotlib
import numpy
import pandas

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure as Drawing
from scipy.stats import gaussian_kde

from benchmarks.config.models import Figure
from benchmarks.errors import NotRunError
from benchmarks.plan.suite import Suite
from benchmarks.report.faults import Faults
from benchmarks.report.schematics import SCHEMATICS
from methods.training.atomic_files import read_arrays

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "vgbench"})


def artefact(suite: Suite, run: str, name: str, seed: int = 0) -> dict[str, numpy.ndarray]:
    """Arrays that a metric wrote; NotRunError if they are not there."""
    path = Path("results") / suite.name / run / f"seed{seed}" / name
    if not path.exists():
        raise NotRunError(f"{run} has no {name}")
    return read_arrays(path)


def artefacts(suite: Suite, figure: Figure, name: str) -> dict[str, dict[str, numpy.ndarray]]:
    """Label -> arrays, for the figure's runs that have them; NotRunError if none has."""
    found = {}
    for label, run in figure.runs.items():
        with suppress(NotRunError):
            found[label] = artefact(suite, run, name)
    if not found:
        raise NotRunError(f"no {name} of {', '.join(figure.runs.values())}")
    return found


def reference(suite: Suite, problem: str) -> dict[str, numpy.ndarray]:
    """Reference draws of a problem."""
    path = Path("results") / suite.name / "references" / f"{problem}.npz"
    if not path.exists():
        raise NotRunError(f"no reference of {problem}")
    return read_arrays(path)


def density(axis, x: numpy.ndarray, y: numpy.ndarray, box: tuple[float, float, float, float]) -> None:
    """Filled contours of a Gaussian kernel density estimate (Scott's bandwidth) on a 100x100 grid."""
    gx, gy = numpy.meshgrid(numpy.linspace(box[0], box[1], 100), numpy.linspace(box[2], box[3], 100))
    kde = gaussian_kde(numpy.vstack([x, y])[:, :4000])
    axis.contourf(gx, gy, kde(numpy.vstack([gx.ravel(), gy.ravel()])).reshape(gx.shape), levels=12, cmap="viridis")


def plane_densities(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Figure 1: target (left) and samples of the trained network (right)."""
    loaded = artefacts(suite, figure, "posterior_draws.npz")
    drawing, axes = plt.subplots(len(loaded), 2, figsize=(6, 3 * len(loaded)), squeeze=False)
    for line, (label, arrays) in zip(axes, loaded.items(), strict=True):
        exact, z = reference(suite, suite.dataset_of(figure.runs[label])[0])["exact"], arrays["z"]
        low, high = exact.min(0) - 0.2, exact.max(0) + 0.2
        box = (low[0], high[0], low[1], high[1])
        for axis, draws, title in zip(line, (exact, z), ("target", "AVB + AC"), strict=True):
            axis.hist2d(draws[:, 0], draws[:, 1], bins=80, range=[box[:2], box[2:]], cmap="viridis", rasterized=True)
            axis.set_title(f"{label}: {title}")
    return drawing


def kl_curves(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Figure 3: KL against iterations, mean and range over seeds: our estimate, and both directions by k-NN."""
    drawing, axes = plt.subplots(1, 3, figsize=(13, 3.6))
    directions = {
        "kl_to_posterior": "KL(q || posterior), nats",
        "kl_to_posterior_knn": "KL(q || posterior) by k-NN, the paper's way",
        "kl_from_posterior_knn": "KL(posterior || q) by k-NN",
    }
    for axis, (metric, title) in zip(axes, directions.items(), strict=True):
        for colour, (label, run) in zip(COLOURS, figure.runs.items(), strict=False):
            rows = frame.loc[(frame.run == run) & (frame.metric == metric) & (frame.status == "ok") & (frame.step > 0)]
            rows = rows.astype({"value": float, "low": float, "high": float})
            if rows.empty:
                continue
            grouped = rows.groupby("step").value
            axis.plot(grouped.mean(), color=colour, label=f"{label}, {rows.seed.nunique()} seeds")
            low, high = rows.low.fillna(rows.value), rows.high.fillna(rows.value)  # of what is known in between only
            least, most = low.groupby(rows.step).min(), high.groupby(rows.step).max()
            axis.fill_between(least.index, least, most, color=colour, alpha=0.2, lw=0)
        axis.set_xlabel("iteration")
        axis.set_title(title)
        axis.set_yscale("log")
    axes[0].axhline(numpy.log(2), color="grey", lw=0.8, ls=":")
    axes[0].annotate("log 2: one perfect mode", (0, numpy.log(2) * 1.05), fontsize=7, color="grey")
    axes[2].legend(frameon=False, fontsize=7)
    return drawing


def posterior_marginals(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Figure 4: densities of (mu, tau) and (tau, eta_1); below q exact draws, and HMC's where their checks hold."""
    stored = reference(suite, "eight-schools")
    rows = [(label, arrays["z"]) for label, arrays in artefacts(suite, figure, "posterior_draws.npz").items()]
    rows += [(label, stored[kind]) for kind, label in (("hmc", "HMC"), ("exact", "exact draws")) if kind in stored]
    centre, reach = stored["exact"].mean(0), 4 * stored["exact"].std(0)
    drawing, axes = plt.subplots(len(rows), 2, figsize=(6, 2.4 * len(rows)))
    names = ("mu", "tau", "eta_1")
    for line, (label, z) in zip(axes, rows, strict=True):
        for axis, (i, j) in zip(line, ((0, 1), (1, 2)), strict=True):
            box = (centre[i] - reach[i], centre[i] + reach[i], centre[j] - reach[j], centre[j] + reach[j])
            density(axis, z[:, i], z[:, j], box)
            axis.set_xlabel(names[i])
            axis.set_ylabel(names[j])
            axis.set_title(label)
    return drawing


def training_images(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Figure 5: the training images."""
    run = next(iter(figure.runs.values()))
    x = artefact(suite, run, "latent_codes.npz")["x"]
    drawing, axes = plt.subplots(1, len(x), figsize=(1.4 * len(x), 1.5))
    for axis, image in zip(axes, x, strict=True):
        axis.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set_visible(True)
    return drawing


def latent_scatter(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Figure 6: codes, one colour for each image."""
    loaded = artefacts(suite, figure, "latent_codes.npz")
    drawing, axes = plt.subplots(1, len(loaded), figsize=(3.6 * len(loaded), 3.6), squeeze=False)
    for axis, (label, codes) in zip(axes[0], loaded.items(), strict=True):
        for image in numpy.unique(codes["image"]):
            z = codes["z"][codes["image"] == image]
            axis.scatter(z[:, 0], z[:, 1], s=3, lw=0, rasterized=True, color=COLOURS[image], label=f"x{image + 1}")
        axis.set(xlim=(-3.2, 3.2), ylim=(-3.5, 3.5), title=label, xlabel="z1", ylabel="z2", aspect="equal")
    axes[0, -1].legend(frameon=False, markerscale=3, fontsize=7)
    return drawing


def tile(images: numpy.ndarray, columns: int = 8) -> numpy.ndarray:
    """Images [n, channels, h, w] as one picture [height, width, 3] with one-pixel gaps."""
    n, _, h, w = images.shape
    rows = -(-n // columns)
    picture = numpy.full((rows * (h + 1) - 1, columns * (w + 1) - 1, 3), 0.5)
    for k, image in enumerate(images):
        r, c = divmod(k, columns)
        picture[r * (h + 1) : r * (h + 1) + h, c * (w + 1) : c * (w + 1) + w] = image.transpose(1, 2, 0)
    return picture.clip(0, 1)


def sample_grids(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """8x8 grids of training data and of samples (AVB figure 7, AS-VAE figures 1, 2 and 4)."""
    loaded = artefacts(suite, figure, "sample_grid.npz")
    panels = [("training data", next(iter(loaded.values()))["data"])]
    panels += [(label, arrays["samples"]) for label, arrays in loaded.items()]
    drawing, axes = plt.subplots(1, len(panels), figsize=(3 * len(panels), 3.2))
    for axis, (label, images) in zip(axes, panels, strict=True):
        axis.imshow(tile(images[:64]), interpolation="nearest")
        axis.set_title(label)
        axis.axis("off")
    return drawing


def reconstructions(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Up to three blocks of eight test images: the truth, then one column for each method (AS-VAE figure 3)."""
    loaded = artefacts(suite, figure, "sample_grid.npz")
    columns = {"truth": next(iter(loaded.values()))["test"]}
    columns |= {label: arrays["reconstructions"] for label, arrays in loaded.items()}
    blocks = min(3, -(-len(columns["truth"]) // 8))
    drawing, axes = plt.subplots(1, blocks, figsize=(0.75 * blocks * len(columns), 5), squeeze=False)
    for block, axis in enumerate(axes[0]):
        chosen = numpy.stack([images[8 * block : 8 * block + 8] for images in columns.values()], 1)
        axis.imshow(tile(chosen.reshape(-1, *chosen.shape[2:]), len(columns)), interpolation="nearest")
        axis.set_title(", ".join(columns), fontsize=7)
        axis.axis("off")
    return drawing


KINDS: dict[str, Callable[[Suite, Figure, pandas.DataFrame], Drawing]] = {
    f.__name__: f
    for f in (
        plane_densities, kl_curves, posterior_marginals, training_images, latent_scatter, sample_grids,
        reconstructions, *SCHEMATICS,
    )
}  # fmt: skip


def words(text: str) -> Drawing:
    """A picture of a text."""
    drawing = plt.figure(figsize=(7, 1))
    drawing.text(0.5, 0.5, "\n".join(textwrap.wrap(text, 80)), ha="center", va="center", parse_math=False)
    return drawing


def save(drawing: Drawing, name: str, folder: Path) -> None:
    """Write `name`.png and .svg."""
    drawing.tight_layout()
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None
        drawing.savefig(folder / f"{name}.{suffix}", dpi=140, bbox_inches="tight", pad_inches=0.1, metadata=metadata)
    plt.close(drawing)


def draw(
    suite: Suite, name: str, figure: Figure, frame: pandas.DataFrame, folder: Path, faults: Faults | None = None
) -> str:
    """Write `name`.png and .svg; returns why they show only words (`not run: ...`), or an empty string."""

    def make() -> str:
        try:
            save(KINDS[figure.kind](suite, figure, frame), name, folder)
        except NotRunError as reason:
            return f"not run: {reason}"
        return ""

    faults, part = faults or Faults(), f"figure {name}"
    found = faults.attempt(part, make, "")
    reason = f"failed: {faults.found[part]}" if part in faults.found else found
    if reason:  # Snakemake expects its file all the same
        plt.close("all")
        save(words(reason), name, folder)
    return reason
