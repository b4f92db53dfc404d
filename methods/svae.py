"""Semi-supervised VAE: model M2 of Kingma et al. 2014, from few labelled and many other images."""

from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods.cvae import CVAE
from methods.labels import HIDDEN, split_labelled
from methods.networks.bodies import Body, linear
from methods.training.game import Batch


class SVAE(CVAE):
    """One player: min sum_labelled [L(x, c) - w log q(c|x)] + sum_others U(x), per image of the batch.

    L(x, c) = E_{q(z|x,c)} -log p(x|z, c) + KL(q(z|x,c) || p(z)) - log p(c), p(c) uniform      (Kingma et al. eq. 6)
    U(x)    = sum_c q(c|x) L(x, c) - H(q(c|x)), all classes summed                              (eq. 7)
    w = `alpha` dim(x) N / N_labelled: U(x), whose pull on q(c|x) the labels must outweigh, grows with dim(x), the
    number of pixels. Kingma et al. have 0.1 N / N_labelled for any dim(x) (eq. 9).
    """

    paper = "Unifying, tables 2 and 3"
    equations = "Kingma et al. 2014, eqs 6, 7, 9"
    player_names = ("model",)
    needs = {"encoder": ("closed_kl",)}
    conditional = ("encoder", "decoder")
    provides = ("log_weight", "labelled_log_weight", "sample", "sample_class", "draw", "classify")
    correspondence = {
        "x": "data, generations",
        "y": "real or generated (degenerated)",
        "z": "code, and the class c where it is not known",
        "p(x|y)": "[G] p_theta(x|z,c,y), decoder",
        "q(y|x)": "[I] q_*(y|x), perfect discriminator (degenerated)",
        "q(z|x,y)": "[I] q_eta(z|x,c,y) q_eta(c|x), encoder and classifier",
        "minimises": "KL(q_eta(z,c|x,y) q_*^r(y|x) || p_theta(z,c,y|x)), CVAE's where c is known",
    }
    relations = {"CVAE": "extends"}
    labelled_bound = "log p(x, c)"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, network: Body, classes: int = 10, alpha: float = 0.02):
        super().__init__(encoder, decoder, classes)
        self.network, self.head, self.alpha = network, linear(network.out_features, classes), alpha

    def initialise(self, batch: Batch) -> None:
        """Nothing: labels may be hidden."""

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features of images, and the logits [batch, classes] of q(c|x)."""
        features = self.network(x)
        return features, self.head(features)

    def labelled_loss(self, x: Tensor, c: Tensor | None) -> Tensor:
        """L(x, c) [batch]."""
        return super().labelled_loss(x, c) + log(self.classes)

    def unlabelled_loss(self, x: Tensor, log_q: Tensor) -> Tensor:
        """U(x) [batch], from log q(c|x) [batch, classes]: every image with every class."""
        n, classes = log_q.shape
        c = torch.arange(classes, device=x.device).repeat(n)
        losses = self.labelled_loss(x.repeat_interleave(classes, 0), c).reshape(n, classes)
        return (log_q.exp() * (losses + log_q)).sum(1)

    def per_example_loss(self, batch: Batch) -> Tensor:
        """Terms of the objective [batch] whose mean it is."""
        labelled, others = split_labelled(batch)
        log_q = self.judge(batch.x)[1].log_softmax(1)
        found = batch.x.new_zeros(len(batch.x))  # in the dtype of the images, whatever autocast makes of the terms
        if batch.y is not None and len(labelled):
            c = batch.y[labelled]
            w = self.alpha * batch.x[0].numel() * len(batch.x) / len(labelled)
            fit = w * cross_entropy(log_q[labelled], c, reduction="none")
            terms = self.labelled_loss(batch.x[labelled], c) + fit
            found = found.index_add(0, labelled, terms.to(found.dtype))
        if len(others):
            terms = self.unlabelled_loss(batch.x[others], log_q[others])
            found = found.index_add(0, others, terms.to(found.dtype))
        return found

    def labelled_log_weight(self, batch: Batch) -> Tensor:
        """log p(x, z, c) - log q(z|x, c) [batch] at the batch's labels."""
        return super().labelled_log_weight(batch) - log(self.classes)

    def log_weight(self, batch: Batch) -> Tensor:
        """log p(x, z, c) - log q(z|x, c) - log q(c|x) [batch], c and z drawn: its mean is -U(x)."""
        log_q = self.judge(batch.x)[1].log_softmax(1)
        c = torch.distributions.Categorical(logits=log_q).sample()
        return self.log_weight_given(batch.x, c) - log(self.classes) - log_q.gather(1, c[:, None]).squeeze(1)

    def validation_loss(self, batch: Batch) -> Tensor:
        """The training objective, the images of hidden label apart from the labelled."""
        return self.per_example_loss(batch if batch.y is not None else Batch(batch.x, self.hidden(batch.x))).mean()

    @staticmethod
    def hidden(x: Tensor) -> Tensor:
        """Labels that say nothing [batch]."""
        return torch.full((len(x),), HIDDEN, device=x.device)
