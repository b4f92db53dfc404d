"""Importance weights, classes, few labels and the activated adversary, against their closed forms."""

import math

import pytest
import torch
from torch.distributions import Normal

from benchmarks.plan.suite import Suite
from methods.adversarial_activation import AdversaryActivated
from methods.cvae import CVAE
from methods.gan import CGAN, GAN, EqualWeights, ImportanceWeights
from methods.labels import HIDDEN, with_label
from methods.networks.build import build_method
from methods.svae import SVAE
from methods.training.game import Batch, gradient
from methods.vae import VAE

SUITE = Suite("smoke")


def method_of(run, **options):
    specification = SUITE.specification(run)
    specification["options"] = specification["options"] | options
    torch.manual_seed(0)
    return build_method(specification, (1, 8, 8))


def bits(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, 1, 8, 8), generator=generator).to(torch.get_default_dtype())


class Logits(torch.nn.Module):
    """A generator of given scalars and the discriminator that reads them."""

    def __init__(self, values):
        super().__init__()
        self.values, self.latent_dim = torch.nn.Parameter(torch.tensor(values)), 1

    def sample_prior(self, n, device="cpu"):
        return torch.zeros(n, 1)

    def generate(self, z):
        return self.values

    def forward(self, x):
        return x


def gan_loss(values, weighting):
    generator = Logits(values)
    return GAN(generator, Logits(values), weighting).generator_loss(Batch(torch.zeros(len(values), 1)))


def test_importance_weights_of_facts_6_3():
    values = [2.0, 0.0, -1.0, 0.5]
    weights = ImportanceWeights()(torch.tensor(values))
    assert weights.tolist() == pytest.approx([0.710100, 0.096102, 0.035354, 0.158445], abs=1e-6)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert gan_loss(values, ImportanceWeights()).item() == pytest.approx(0.278288, abs=1e-6)
    assert gan_loss(values, EqualWeights()).item() == pytest.approx(0.651853, abs=1e-6)


def test_equal_logits_give_the_gan_loss():
    values = [0.3] * 5
    found = [gan_loss(values, weighting).item() for weighting in (ImportanceWeights(), EqualWeights())]
    assert found[0] == pytest.approx(found[1], abs=1e-7)


def test_importance_weights_are_constants_for_the_generator():
    values = torch.tensor([1.0, -1.0], dtype=torch.float64)
    generator = Logits(values.tolist()).double()
    method = GAN(generator, Logits(values.tolist()), ImportanceWeights())
    _, (grad,) = gradient(method.players()["generator"], Batch(torch.zeros(2, 1)))
    expected = -values.softmax(0) * torch.sigmoid(-values)
    assert torch.allclose(grad, expected, atol=1e-7)


def test_labels_reach_codes_and_images():
    y = torch.tensor([2, 0])
    assert with_label(torch.zeros(2, 1), y, 3).tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]
    planes = with_label(torch.zeros(2, 1, 2, 2), y, 3)
    assert planes.shape == (2, 4, 2, 2)
    assert planes[0, 3].min() == 1
    assert planes[0, :3].abs().max() == 0
    for labels in (None, torch.tensor([0, HIDDEN])):
        with pytest.raises(ValueError, match="needs a label for every example"):
            with_label(torch.zeros(2, 1), labels, 3)


def test_a_conditional_gan_listens_to_the_class():
    method = method_of("cgan-mnist")
    assert isinstance(method, CGAN)
    images = []
    for y in (0, 7):
        torch.manual_seed(1)
        images.append(method.sample_class(torch.full((3,), y)))
    assert images[0].shape == (3, 1, 8, 8)
    assert not torch.allclose(*images)
    x = bits(4)
    assert not torch.allclose(method.logits(x, torch.zeros(4).long()), method.logits(x, torch.ones(4).long()))


def test_cvae_weights_average_to_its_loss():
    method = method_of("hu-cvae-10").eval()
    assert isinstance(method, CVAE)
    batch = Batch(bits(2), torch.tensor([3, 4]))
    with torch.no_grad():
        many = Batch(batch.x.repeat(4000, 1, 1, 1), batch.y.repeat(4000))
        a, b = (f(many).reshape(4000, 2) for f in (method.per_example_loss, method.labelled_log_weight))
    error = (a.var(0) / 4000 + b.var(0) / 4000).sqrt()
    assert ((a.mean(0) + b.mean(0)).abs() < 4 * error).all()


def test_m2_best_q_of_c_is_proportional_to_exp_minus_loss():
    losses = torch.tensor([[3.0, 1.0, 2.5]], dtype=torch.float64)
    method = method_of("hu-svae-10")
    assert isinstance(method, SVAE)
    method.labelled_loss = lambda x, c: losses.repeat(len(x) // 3, 1).flatten()
    x = bits(1)

    def u(log_q):
        return method.unlabelled_loss(x, log_q)[0]

    best = (-losses).log_softmax(1)
    assert u(best).item() == pytest.approx(-torch.logsumexp(-losses, 1).item(), abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = torch.randn(1, 3, generator=generator, dtype=torch.float64).log_softmax(1)
        assert u(other) >= u(best)
    uniform = torch.full((1, 3), -math.log(3), dtype=torch.float64)
    assert u(uniform).item() == pytest.approx(losses.mean().item() - math.log(3), abs=1e-12)
    sure = torch.tensor([[0.0, -1e4, -1e4]], dtype=torch.float64)
    assert u(sure).item() == pytest.approx(3.0, abs=1e-12)


def test_m2_objective_is_the_sum_of_its_parts():
    method = method_of("hu-svae-10", alpha=0.7).double().eval()
    x, y = bits(4).double(), torch.tensor([1, HIDDEN, 5, HIDDEN])
    constant = {"labelled": 2.0, "other": 3.0}
    method.labelled_loss = lambda x, c: torch.full((len(x),), constant["labelled"], dtype=torch.float64)
    method.unlabelled_loss = lambda x, log_q: torch.full((len(x),), constant["other"], dtype=torch.float64)
    found = method.per_example_loss(Batch(x, y)).mean()
    log_q = method.judge(x)[1].log_softmax(1)
    fit = -(log_q[0, 1] + log_q[2, 5]) / 2
    assert found.item() == pytest.approx((2 * 2.0 + 2 * 3.0) / 4 + 0.7 * 64 * fit.item(), abs=1e-12)


def test_svae_bound_without_labels_is_minus_u():
    method = method_of("hu-svae-10").eval()
    x = bits(1)
    with torch.no_grad():
        many = x.repeat(3000, 1, 1, 1)
        log_q = method.judge(many)[1].log_softmax(1)
        u, weight = method.unlabelled_loss(many, log_q), method.log_weight(Batch(many))
    assert (u.mean() + weight.mean()).abs() < 4 * (u.var() / 3000 + weight.var() / 3000).sqrt()


@pytest.fixture
def activated():
    torch.set_default_dtype(torch.float64)
    yield double_aavae()
    torch.set_default_dtype(torch.float32)


def double_aavae():
    method = method_of("hu-aavae-10").double().eval()
    assert isinstance(method, AdversaryActivated)
    assert isinstance(method.base, VAE)
    return method


def test_perfect_discriminator_gives_half_the_base_loss(activated):
    batch, fakes = Batch(bits(6)), Batch(bits(6, seed=1))
    activated.fakes = lambda batch: fakes
    activated.discriminator.forward = lambda x: torch.full((6,), 1e4 if x is batch.x else -1e4)
    torch.manual_seed(3)
    found = activated.model_loss(batch)
    torch.manual_seed(3)
    expected = 0.5 * activated.base.per_example_loss(batch).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_ignorant_discriminator_averages_data_and_fakes(activated):
    batch = Batch(bits(6))
    activated.discriminator.forward = lambda x: torch.zeros(len(x), dtype=torch.float64)
    fakes = Batch(bits(6, seed=1))
    activated.fakes = lambda batch: fakes
    torch.manual_seed(3)
    found = activated.model_loss(batch)
    torch.manual_seed(3)
    expected = 0.25 * sum(activated.base.per_example_loss(b).mean() for b in (batch, fakes))
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_large_temperatures_forget_the_discriminator(activated):
    x = bits(6)
    activated.discriminator.forward = lambda x: torch.linspace(-9, 9, len(x), dtype=torch.float64)
    activated.temperature = 3.0
    assert torch.allclose(activated.weights(x), torch.sigmoid(torch.linspace(-3, 3, 6, dtype=torch.float64)))
    activated.temperature = 1e9
    assert torch.allclose(activated.weights(x), torch.full((6,), 0.5, dtype=torch.float64), atol=1e-7)


def test_no_gradient_reaches_the_model_through_weights_or_fakes(activated):
    batch, fakes = Batch(bits(6)), activated.fakes(Batch(bits(6)))
    assert not fakes.x.requires_grad
    torch.manual_seed(5)
    _, found = gradient(activated.players()["model"], batch)
    torch.manual_seed(5)
    fakes, base = activated.fakes(batch), activated.base
    terms = [(activated.weights(b.x) * base.per_example_loss(b)).mean() for b in (batch, fakes)]
    loss = 0.5 * (terms[0] + terms[1])
    expected = torch.autograd.grad(loss, list(activated.base.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True) if a is not None)


def test_fakes_of_a_semi_supervised_base_carry_their_class():
    method = method_of("hu-aasvae-10")
    fakes = method.fakes(Batch(bits(50), torch.full((50,), HIDDEN)))
    assert fakes.y is not None
    assert set(fakes.y.tolist()) <= set(range(10))
    assert set(fakes.x.unique().tolist()) <= {0.0, 1.0}


def test_what_a_wrapper_can_answer_is_what_its_base_can():
    assert "classify" in SUITE.provides("hu-aasvae-10")
    assert "classify" not in SUITE.provides("hu-aavae-10")
    assert "labelled_log_weight" in SUITE.provides("hu-aacvae-1")


def test_normal_prior_is_the_decoders(activated):
    z = torch.randn(5, activated.decoder.latent_dim, dtype=torch.float64)
    assert torch.allclose(activated.decoder.log_prior(z), Normal(0.0, 1.0).log_prob(z).sum(1))
