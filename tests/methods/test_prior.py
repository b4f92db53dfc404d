"""p(z) has one source, the decoder: metrics and objectives follow it (test_contract finds who does not)."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from benchmarks.data import datasets
from benchmarks.errors import NotRunError
from benchmarks.metrics import aggregated_kl, aggregated_kl_knn, ais, bdmc_gap, elbo, importance_bound
from benchmarks.metrics import log_likelihood as quadrature
from benchmarks.metrics.estimators.likelihoods import any_likelihood, likelihood_for, tilt_of
from benchmarks.metrics.trained import Trained
from methods.aae import AAE
from methods.as_vae import ASVAEr
from methods.avb import AVB, JensenShannon, PriorContrast
from methods.cvae import CVAE
from methods.networks.bodies import MLP
from methods.networks.build import build_method
from methods.networks.critics import ImageCritic
from methods.networks.decoders import BernoulliDecoder, Generator, has_standard_prior
from methods.networks.encoders import GaussianEncoder, ImplicitPosterior
from methods.terms import log_standard_normal
from methods.training.game import Batch
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer
from methods.vae import VAE
from methods.vaegan import VAEGAN
from tests.helpers import vamp
from tests.helpers.linear_gaussian import LATENT, NOISE, Linear, Posterior, simulated

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run -> its method after a short training on digits, with 64 test images."""
    suite = vamp.suite(tmp_path_factory.mktemp("runs"))

    def train(run):
        data = datasets.load("digits", suite.dataset_of(run)[1], tmp_path_factory.mktemp("data"), CPU)
        torch.manual_seed(0)
        method = build_method(suite.specification(run), (1, 8, 8))
        Trainer(method, data.train, Settings(400, 128, 2e-3), tmp_path_factory.mktemp("run"), 0).run()
        return of(method.eval(), data.test_x[:64], 8, provides=frozenset({"encode", "log_weight", "decoder"}))

    return train


# --- annealing and the other metrics


def of(method: Any, x: torch.Tensor, latent: int = LATENT, train: Images | None = None, **more) -> Trained:
    """The method and images as a metric sees them."""
    data: Any = SimpleNamespace(test_x=x, train=train or Images(x.mul(255).byte()))
    return Trained(method, latent, "images", data, None, None, None, CPU, **more)  # type: ignore[arg-type]


def annealed(trained):
    """AIS that has no importance bound to give way to."""
    return ais.evaluate(replace(trained, provides=frozenset({"encode"})), n=64, distributions=200, chains=4)


def test_ais_of_a_vampprior_is_that_of_its_own_model(trained):
    found = trained("VampVAEVamp")
    bound = importance_bound.evaluate(found, n=64, samples=2000)
    assert elbo.evaluate(found, n=64).value < bound.value - 0.2
    assert annealed(found).value == pytest.approx(bound.value, abs=0.15)
    assert abs(bdmc_gap.evaluate(found, n=40, distributions=200, chains=4).value) < 0.3


def test_ais_of_a_decoder_that_was_not_told_the_prior_is_below_the_elbo(trained):
    found = trained("Own")
    assert annealed(found).value < elbo.evaluate(found, n=64).value - 1


class Shifted(Linear):
    """The linear model with p(z) = N(m, S), S = diag sd^2."""

    m, sd = torch.tensor([8.0, -3.0]), torch.tensor([2.0, 0.5])

    def log_prior(self, z):
        return Normal(self.m.to(z), self.sd.to(z)).log_prob(z).sum(1)

    def sample_prior(self, n, device):
        return self.m + self.sd * torch.randn(n, LATENT)

    def log_p(self, x):
        covariance = self.w @ self.sd.square().diag() @ self.w.T + NOISE**2 * torch.eye(4)
        return MultivariateNormal(self.w @ self.m, covariance).log_prob(x.flatten(1))


def test_another_prior_in_closed_form():
    """From a start at the encoder's codes, from the prior's moments, and by quadrature on a square that holds it."""
    decoder = Shifted()
    x = decoder(decoder.sample_prior(50, CPU)).sample()
    truth = float(decoder.log_p(x).mean())
    for method in (VAE(Posterior(), decoder), SimpleNamespace(decoder=decoder)):
        found = ais.evaluate(of(method, x), n=50, distributions=200, chains=8)
        assert found.value == pytest.approx(truth, abs=0.05)
    assert "a Gaussian with the prior's moments" in found.protocol
    assert quadrature.evaluate(of(method, x)).value == pytest.approx(truth, abs=1e-3)
    decoder.log_prior = lambda z: Shifted.log_prior(decoder, z) + 1
    with pytest.raises(NotRunError, match=r"has the integral 2\.718"):
        quadrature.evaluate(of(method, x))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradient_of_another_prior_comes_with_the_pixels(precision):
    decoder: Any = BernoulliDecoder((1, 3, 4), 3, MLP((3,), [8], "elu"))
    assert tilt_of(decoder) is None
    decoder.log_prior = lambda z: Normal(1.0, 2.0).log_prob(z).sum(1)
    x, z = torch.bernoulli(torch.full((7, 1, 3, 4), 0.4)), torch.randn(7, 3)
    plain = any_likelihood(lambda z: decoder.log_likelihood(x, z) + decoder.log_prior(z))(z, True)
    value, grad = likelihood_for(decoder, x, precision)(z, True)
    assert value is not None
    assert plain[0] is not None
    assert torch.allclose(value + log_standard_normal(z), plain[0], atol=1e-4)
    assert torch.allclose(grad - z, plain[1], atol=1e-4 if precision == "float32" else 0.05)


def test_the_kl_of_codes_is_to_the_decoder_s_prior():
    """q(z) = N(m, S) is p(z) = N(m, S), from a density and from draws, and 1/2 a shifted dimension away."""
    decoder = Shifted()
    train = Images(torch.randint(0, 256, (200, 1, 2, 2), dtype=torch.uint8))
    for away, truth in ((0.0, 0.0), (1.0, 0.5)):

        def q(x, away=away):
            return Independent(
                Normal((decoder.m + away * decoder.sd).expand(len(x), 2), decoder.sd.expand(len(x), 2)), 1
            )

        class Drawn(nn.Module):
            def forward(self, x, q=q):
                return ImplicitPosterior(lambda n: q(x).rsample((max(n, 1),)))

        class Dense(nn.Module):
            def forward(self, x, q=q):
                return q(x)

        for encoder in (Dense(), Drawn()):
            found = aggregated_kl.evaluate(of(VAE(encoder, decoder), simulated(), train=train), n=4000)
            assert found.value == pytest.approx(2 * truth, abs=0.06)
            assert "not N(0, I)" in found.warning
        knn = aggregated_kl_knn.evaluate(of(VAE(Drawn(), decoder), simulated(), train=train), n=4000)
        assert knn.value == pytest.approx(2 * truth, abs=0.15)


# --- objectives


class Moved(BernoulliDecoder):
    """p(z) = N(1, 4 I)."""

    def log_prior(self, z):
        return Normal(1.0, 2.0).log_prob(z).sum(1)

    def sample_prior(self, n, device="cpu"):
        return 1 + 2 * torch.randn(n, self.latent_dim, device=device)


def test_objectives_follow_the_decoder_s_prior():
    x, c = torch.rand(4000, 1, 2, 2), torch.randint(3, (4000,))
    batch = Batch(x, c, 0)

    def networks(told=0):
        return GaussianEncoder(2, MLP((1 + told, 2, 2), [8])), Moved((1, 2, 2), 2, MLP((2 + told,), [8]))

    vae, cvae = VAE(*networks()), CVAE(*networks(3), classes=3)
    assert not has_standard_prior(vae.decoder)
    for loss, weight in (
        (lambda: vae.per_example_loss(batch), vae.log_weight),
        (lambda: cvae.labelled_loss(x, c), cvae.labelled_log_weight),
    ):
        torch.manual_seed(1)
        wanted = -weight(batch)
        torch.manual_seed(1)
        assert torch.allclose(loss(), wanted, atol=1e-5)


class Recorder(nn.Module):
    """A critic that keeps the codes that it is shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, z):
        self.seen.append(z)
        return z.sum(1)


def test_players_contrast_codes_with_draws_of_the_decoder_s_prior():
    x = torch.rand(4000, 1, 2, 2)
    encoder, decoder = GaussianEncoder(2, MLP((1, 2, 2), [8])), Moved((1, 2, 2), 2, MLP((2,), [8]))
    for method, player in (
        (AAE(encoder, decoder, Recorder()), "adversary"),
        (ASVAEr(encoder, decoder, Recorder()), "critic_r"),
    ):
        method.players()[player].loss(Batch(x, None, 0))
        shown = next(m for m in method.modules() if isinstance(m, Recorder)).seen[-1]
        assert float(shown.mean()) == pytest.approx(1, abs=0.15)
        assert float(shown.std()) == pytest.approx(2, abs=0.15)


def test_an_encoder_s_kl_is_to_the_decoder_s_prior():
    """VAE/GAN's encoder, where nothing but the KL is left; and AVB's model, whose best adversary makes it the KL."""
    x = torch.rand(20_000, 1, 2, 2)
    encoder = GaussianEncoder(2, MLP((1, 2, 2), [8]))
    q = encoder(x)
    truth = float(torch.distributions.kl_divergence(q.base_dist, Normal(1.0, 2.0)).sum(1).mean().detach())
    generator: Any = Generator((1, 2, 2), 2, MLP((2,), [8]))
    generator.log_prior = lambda z: Normal(1.0, 2.0).log_prob(z).sum(1)
    blind = ImageCritic(MLP((1, 2, 2), [8]))
    for parameter in blind.parameters():
        nn.init.zeros_(parameter)
    method = VAEGAN(encoder, generator, blind)
    assert float(method.encoder_loss(Batch(x, None, 0)).detach()) == pytest.approx(truth, abs=0.05)

    class Best(nn.Module):
        def forward(self, x, z):
            return encoder(x).log_prob(z) - log_standard_normal(z)

    decoder: Any = Moved((1, 2, 2), 2, MLP((2,), [8]))
    decoder.log_likelihood = lambda x, z: z.new_zeros(len(z))
    avb = AVB(encoder, decoder, Best(), PriorContrast(), JensenShannon())
    assert float(avb.model_loss(Batch(x, None, 0)).detach()) == pytest.approx(truth, abs=0.05)
    assert float(-avb.elbo_estimate(Batch(x, None, 0)).mean().detach()) == pytest.approx(truth, abs=0.05)
