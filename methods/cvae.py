"""Conditional VAE (Sohn et al. 2015): a VAE whose networks are told the class c."""

import torch
from torch import Tensor, nn

from methods.labels import need_labels, random_labels, with_label
from methods.method import LikelihoodMethod
from methods.networks.decoders import has_standard_prior
from methods.terms import gaussian_kl, sample_with_log_prob
from methods.training.game import Batch


class CVAE(LikelihoodMethod):
    """One player: min E_{(x,c)} [E_{q(z|x,c)} -log p(x|z,c) + KL(q(z|x,c) || p(z))], minus a bound on log p(x|c)."""

    paper = "Unifying, table 3"
    equations = "Sohn et al. 2015, eq. 4"
    player_names = ("model",)
    needs = {"encoder": ("closed_kl",)}
    conditional = ("encoder", "decoder")
    provides = ("labelled_log_weight", "sample", "sample_class", "draw")
    correspondence = {
        "x": "data, generations",
        "y": "real or generated (degenerated)",
        "z": "code, given the class c",
        "p(x|y)": "[G] p_theta(x|z,c,y), decoder",
        "q(y|x)": "[I] q_*(y|x), perfect discriminator (degenerated)",
        "q(z|x,y)": "[I] q_eta(z|x,c,y), encoder",
        "minimises": "KL(q_eta(z|x,c,y) q_*^r(y|x) || p_theta(z,y|x,c))",
    }
    relations = {"VAE": "extends"}
    labelled_bound = "log p(x|c)"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, classes: int = 10):
        super().__init__()
        self.encoder, self.decoder, self.classes = encoder, decoder, classes

    def initialise(self, batch: Batch) -> None:
        """ValueError if the first batch is not labelled."""
        need_labels(batch.y)

    def posterior(self, x: Tensor, c: Tensor | None):
        """q(z|x, c)."""
        return self.encoder(with_label(x, c, self.classes))

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
        """log p(x|z, c) [batch], nats."""
        return self.decoder.log_likelihood(x, with_label(z, c, self.classes))

    def labelled_loss(self, x: Tensor, c: Tensor | None) -> Tensor:
        """E_q -log p(x|z, c) + KL [batch], nats, by one draw of z; the KL to N(0, I) in closed form."""
        if not has_standard_prior(self.decoder):
            return -self.log_weight_given(x, c)
        q = self.posterior(x, c)
        return gaussian_kl(q.mean, q.stddev) - self.log_likelihood(x, q.rsample(), c)

    def per_example_loss(self, batch: Batch) -> Tensor:
        return self.labelled_loss(batch.x, batch.y)

    def log_weight_given(self, x: Tensor, c: Tensor | None) -> Tensor:
        """log p(x, z|c) - log q(z|x, c) [batch], z ~ q(z|x, c), nats."""
        z, log_q = sample_with_log_prob(self.posterior(x, c))
        return self.log_likelihood(x, z, c) + self.decoder.log_prior(z) - log_q

    def labelled_log_weight(self, batch: Batch) -> Tensor:
        """`log_weight_given` of the batch's labels: its mean bounds what `labelled_bound` says."""
        return self.log_weight_given(batch.x, batch.y)

    def validation_loss(self, batch: Batch) -> Tensor:
        return -self.labelled_log_weight(batch).mean()

    def sample_class(self, y: Tensor) -> Tensor:
        """The decoder's mean [n, *x_shape] for each class in y [n], z ~ p(z)."""
        return self.decoder.mean(with_label(self.decoder.sample_prior(len(y), y.device), y, self.classes)).clamp(0, 1)

    def draw(self, n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """n draws of x ~ p(x|z, c), z and c from their priors; and the c."""
        c = random_labels(n, self.classes, device)
        return self.decoder.draw(with_label(self.decoder.sample_prior(n, device), c, self.classes)), c

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n decoder means [n, *x_shape] of random classes."""
        return self.sample_class(torch.randint(self.classes, (n,), device=device))
