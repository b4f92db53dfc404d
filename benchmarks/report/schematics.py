"""Figures that need no run: one generator step in one dimension, and the graph of relations between methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import matplotlib.pyplot as plt
import numpy
import pandas
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from scipy.special import log_expit
from scipy.stats import norm

from benchmarks.config.method_cards import RELATIONS
from benchmarks.config.models import Figure, Strict, validated
from benchmarks.plan.suite import Suite
from benchmarks.report.relations import Graph, Layout

Array = numpy.ndarray
BLUE, RED, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#888888"
KINDS = {"extends": BLUE, "specialises": "#56b4e9", "swaps": GREEN, "weights": RED, "combines": "#cc79a7"}


class StepOptions(Strict):
    """Setting of `one_step`: bumps (weight, mean, sd) of the data, mean and sd of the generator, step size.

    `discriminator`: the optimal one (eq. 13), or slope and offset of the logit log D/(1 - D).
    """

    data: list[tuple[float, float, float]]
    generator: tuple[float, float]
    discriminator: Literal["optimal"] | tuple[float, float] = "optimal"
    rate: float = 1.0


@dataclass(frozen=True)
class OneStep:
    """Unifying, eq. 10, on a grid in one dimension: p_g = N(mu, s^2), theta = (mu, log s)."""

    x: Array
    log_data: Array
    log_odds: Array
    theta: Array
    rate: float

    @classmethod
    def of(cls, options: StepOptions, points: int = 8001) -> "OneStep":
        """The setting on a grid of 12 standard deviations beyond each bump."""
        bumps = [*((m, s) for _, m, s in options.data), options.generator]
        x = numpy.linspace(min(m - 12 * s for m, s in bumps), max(m + 12 * s for m, s in bumps), points)
        weights = numpy.array([w for w, _, _ in options.data])
        terms = [numpy.log(w) + norm.logpdf(x, m, s) for w, (m, s) in zip(weights / weights.sum(), bumps, strict=False)]
        log_data, theta = numpy.logaddexp.reduce(terms), numpy.array([bumps[-1][0], numpy.log(bumps[-1][1])])
        if options.discriminator == "optimal":
            log_odds = log_data - norm.logpdf(x, *options.generator)
        else:
            log_odds = options.discriminator[0] * x + options.discriminator[1]
        return cls(x, log_data, log_odds, theta, options.rate)

    def integral(self, values: Array) -> float:
        """By the trapezoid rule, whose error on smooth bumps that vanish at both ends is that of rounding."""
        return float(numpy.trapezoid(values, self.x))

    def log_generator(self, theta: Array) -> Array:
        """log p_g at theta."""
        return norm.logpdf(self.x, theta[0], numpy.exp(theta[1]))

    def log_posterior(self, y: int) -> Array:
        """log q^r(x|y), proportional to q^r(y|x) p_theta0(x) (eq. 9); q^r(y=0|x) = D(x)."""
        mixture = numpy.logaddexp(self.log_generator(self.theta), self.log_data) - numpy.log(2)
        joint = log_expit(self.log_odds if y == 0 else -self.log_odds) + mixture
        return joint - numpy.log(self.integral(numpy.exp(joint)))

    def kl(self, log_p: Array, log_q: Array) -> float:
        """KL(p || q), nats."""
        return self.integral(numpy.exp(log_p) * (log_p - log_q))

    def divergences(self, theta: Array) -> tuple[float, float]:
        """E_p(y) KL(p_theta(x|y) || q^r(x|y)) and JSD(p_g || p_data) at theta, nats: the two terms of eq. 10."""
        log_g = self.log_generator(theta)
        mixture = numpy.logaddexp(log_g, self.log_data) - numpy.log(2)
        kl = self.kl(log_g, self.log_posterior(0)) + self.kl(self.log_data, self.log_posterior(1))
        return kl / 2, (self.kl(log_g, mixture) + self.kl(self.log_data, mixture)) / 2

    def words(self, theta: Array) -> str:
        """The two terms, for a title."""
        kl, jsd = self.divergences(theta)
        return f": KL {kl:.3f}, JSD {jsd:.3f} nats"

    def objective(self, theta: Array) -> float:
        """Right-hand side of eq. 10 before the gradient is taken, nats."""
        kl, jsd = self.divergences(theta)
        return kl - jsd

    def gradient(self) -> Array:
        """Left-hand side of eq. 10, exactly: d/dtheta of -1/2 E_p_g log D(x) at theta0."""
        p, scale = numpy.exp(self.log_generator(self.theta)), numpy.exp(self.theta[1])
        z = (self.x - self.theta[0]) / scale
        loss = -log_expit(self.log_odds) * p / 2
        return numpy.array([self.integral(loss * z / scale), self.integral(loss * (z**2 - 1))])

    def after(self) -> Array:
        """theta after one step of gradient descent."""
        return self.theta - self.rate * self.gradient()


def one_step(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Unifying figure 2: the state, the posterior, and the generator after one step of eq. 10; nothing is trained."""
    step = OneStep.of(validated(f"{figure.paper}, {figure.number}: options", StepOptions, figure.options))
    theta, new = step.theta, step.after()
    data = (numpy.exp(step.log_data), r"$p_{\theta_0}(x|y{=}1) = p_{data}(x)$")
    before = (numpy.exp(step.log_generator(theta)), r"$p_{\theta_0}(x|y{=}0) = p_{g_{\theta_0}}(x)$")
    posterior = (numpy.exp(step.log_posterior(0)), r"$q^r(x|y{=}0)$")
    after = (numpy.exp(step.log_generator(new)), r"$p_{\theta^{new}}(x|y{=}0)$, new generator")
    judged = (numpy.exp(log_expit(step.log_odds)), r"$q_{\phi_0}(y{=}1|x)$ (right axis)")
    start = [(curve, colour, ":") for curve, colour in ((before, BLUE), (data, RED))]
    panels = (
        (r"state $\theta_0, \phi_0$", [(before, BLUE, "-"), (data, RED, "-")]),
        (r"posterior at $\theta_0$" + step.words(theta), [*start, (posterior, GREEN, "-")]),
        ("after one step" + step.words(new), [start[0], (posterior, GREEN, "-"), (after, RED, "-")]),
    )
    drawing, axes = plt.subplots(1, 3, figsize=(10, 3.1), sharey=True)
    top = 1.45 * max(curve.max() for curve, _ in (data, before, posterior, after))
    shown = step.x[numpy.maximum(data[0], before[0]) > 1e-3 * data[0].max()]
    for axis, (title, curves) in zip(axes, panels, strict=True):
        for (curve, label), colour, style in curves:
            axis.plot(step.x, curve, color=colour, ls=style, lw=1.6 if style == "-" else 1.2, label=label)
        axis.set(xlim=(shown[0], shown[-1]), ylim=(0, top), xlabel="$x$", yticks=[])
        axis.set_title(title, fontsize=9)
    right = axes[0].twinx()
    right.plot(step.x, judged[0], color=GREY, lw=1.0, ls="--")
    right.set(ylim=(0, 1.45), yticks=[0, 1])
    right.tick_params(colors=GREY, labelsize=7)
    axes[0].plot([], [], color=GREY, lw=1.0, ls="--", label=judged[1])
    axes[1].fill_between(step.x, posterior[0], color=GREEN, alpha=0.15, lw=0)
    for axis in axes:
        axis.legend(frameon=False, fontsize=7.5, loc="upper left")
    return drawing


def relation_graph(suite: Suite, figure: Figure, frame: pandas.DataFrame) -> Drawing:
    """Unifying figure 4, from the literals `relations`: an arrow leads to what a method was made from."""
    graph = Graph.of(suite.runs)
    layout = Layout(graph)
    width, height = layout.size
    drawing, axis = plt.subplots(figsize=(width + 0.6, height + 1.3))
    axis.set(xlim=(-0.1, width + 0.1), ylim=(-0.9, height + 0.3), aspect="equal")
    axis.axis("off")
    for number, (_, _, kind) in enumerate(graph.edges):
        axis.add_patch(
            FancyArrowPatch(
                path=layout.curve(number), arrowstyle="<|-|>" if kind == "swaps" else "-|>", mutation_scale=7,
                color=KINDS[kind], lw=1.1, shrinkA=0, shrinkB=0,
            )
        )  # fmt: skip
    for name, label in graph.labels.items():
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "#444444", "lw": 0.8}
        axis.text(layout.x[name], layout.y[name], label, ha="center", va="center", fontsize=layout.FONT, bbox=box)
    used = [kind for kind in KINDS if any(kind == k for _, _, k in graph.edges)]
    handles = [Line2D([], [], color=KINDS[kind], label=f"A {RELATIONS[kind]} B") for kind in used]
    legend = axis.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=8, title_fontsize=8,
        title="An arrow from A to B says that",
    )  # fmt: skip
    legend.set_in_layout(False)
    return drawing


SCHEMATICS: tuple[Callable[[Suite, Figure, pandas.DataFrame], Drawing], ...] = (one_step, relation_graph)
