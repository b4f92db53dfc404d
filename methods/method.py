"""What evaluation may ask of a trained method.

A method is networks and a dict of players. Class-level literals say what it is, so that a run can be
checked without importing torch: `paper`, `equations`, `player_names`, `needs` (what each component must
provide) and `provides` (which questions below it answers):

- `log_weight`: log p(x, z) - log q(z|x) of a draw z ~ q: ELBO and importance bounds
- `elbo_estimate(batch, draws)`: an adversary's estimate of the ELBO, mean over `draws` draws of z: no bound
- `encode`: draws of z given x; where `posterior(x)` has a `log_prob`, divergences of q are computed with it
- `decoder`: an explicit p(x|z) and prior: AIS, quadrature, samples, reconstructions. Its `log_prior` and `sample_prior`
  are p(z) for every answer, `log_weight` and `sample` among them; the contract tests see to that
- `log_density`: log q(z) where there is no data: exact KL to a known posterior
- `labelled_log_weight`: the same of log p(x|c) or log p(x, c), as `labelled_bound` says, at given classes c
- `log_prob`: log p(x) of an 8-bit or binary image, exactly (autoregressive models)
- `sample`, `reconstruct`: images, where there need be no likelihood; a `decoder` gives the first by itself,
  with `encode` the second too
- `draw`: draws of x, with their classes where it has some: what an adversary-activated method needs of its base
- `sample_class`: images of given classes; `classify`: `judge(x)` gives features and logits of classes
- `code`: images of given codes, `generate(z, c)`, and `code_logits(x)` of the codes; `code_units`: `encode(x)` gives
  units in (0, 1) without a prior; `translate`: `translate(x, to)` gives images of the domain `source` or `target`

`conditional` names the components that are told the class, `wraps` those whose answers the method passes on.

`correspondence` and `relations` speak to people only, are not inherited, and change no run: the class's line of
Unifying's table 1 (`FIELDS` in benchmarks/config/method_cards.py are its keys), and its edges in that paper's figure 4
(name of another class -> extends, specialises, swaps, weights or combines).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from methods.terms import annealed, sample_with_log_prob
from methods.training.game import Batch, Player


class Method(nn.Module, ABC):
    """Networks, and the players who train them."""

    paper: ClassVar[str]
    equations: ClassVar[str]
    player_names: ClassVar[tuple[str, ...]]
    needs: ClassVar[dict[str, tuple[str, ...]]] = {}
    provides: ClassVar[tuple[str, ...]] = ()
    conditional: ClassVar[tuple[str, ...]] = ()
    wraps: ClassVar[tuple[str, ...]] = ()
    labelled_bound: str = ""
    correspondence: ClassVar[dict[str, str]] = {}
    relations: ClassVar[dict[str, str]] = {}
    encoder: Any
    decoder: Any

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The players, in the order in which they move; the keys are `player_names`."""

    def initialise(self, batch: Batch) -> None:
        """Set what depends on data before the first round, from one batch; nothing by default."""

    def posterior(self, x: Tensor) -> Any:
        """q(z|x) for x [batch, *x_shape]: `rsample()`, and `log_prob(z)` where its density at any z is known.

        A method that overrides `encode` alone has draws without a density.
        """
        return self.encoder(x)

    def encode(self, x: Tensor) -> Float[Tensor, "batch latent"]:
        """A draw of z ~ q(z|x) for each x [batch, *x_shape]."""
        return self.posterior(x).rsample()

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n images [n, *x_shape] in [0, 1]: the decoder's means (or the generator's images) at z ~ p(z)."""
        return self.decoder.mean(self.decoder.sample_prior(n, device)).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The decoder's mean [batch, *x_shape] at the encoder's mean, or at a draw where q has no known mean."""
        q = self.encoder(x)
        return self.decoder.mean(q.mean if hasattr(q, "mean") else q.rsample()).clamp(0, 1)

    def validation_loss(self, batch: Batch) -> Tensor:
        """What early stopping watches (a scalar, lower is better): the first player's loss."""
        return next(iter(self.players().values())).loss(batch)


class LikelihoodMethod(Method):
    """A method with a bound on log p(x) for each example, in nats. Never averages itself."""

    def __init__(self, anneal_steps: int = 0):
        super().__init__()
        self.anneal_steps = anneal_steps

    def beta(self, step: int) -> float:
        """Weight of the KL term in round `step`."""
        return annealed(step, self.anneal_steps)

    def weight_terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """log p(x|z) and log q(z|x) - log p(z), each [batch], at one z ~ q(z|x)."""
        z, log_q = sample_with_log_prob(self.encoder(batch.x))
        return self.decoder.log_likelihood(batch.x, z), log_q - self.decoder.log_prior(z)

    def log_weight(self, batch: Batch) -> Float[Tensor, "batch"]:
        """log p(x, z) - log q(z|x) [batch]: its mean is the ELBO, its log-mean-exp the importance bound."""
        log_likelihood, log_ratio = self.weight_terms(batch)
        return log_likelihood - log_ratio

    def per_example_loss(self, batch: Batch) -> Float[Tensor, "batch"]:
        """-log p(x|z) + beta KL [batch], the KL by one draw where it has no closed form."""
        log_likelihood, log_ratio = self.weight_terms(batch)
        return self.beta(batch.step) * log_ratio - log_likelihood

    def draw(self, n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """n draws of x ~ p(x|z), z ~ p(z), and their classes where the method has some."""
        return self.decoder.draw(self.decoder.sample_prior(n, device)), None

    def players(self) -> dict[str, Player]:
        """One player, who owns every network."""
        return {"model": Player((self,), lambda batch: self.per_example_loss(batch).mean())}
