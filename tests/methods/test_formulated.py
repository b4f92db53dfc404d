"""What Unifying only formulates: each game against its equations; test_formulated_metrics.py has the numbers."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from methods.cyclegan import ConvTranslator, CycleGAN
from methods.domain_adaptation import ADA, split_domains
from methods.infogan import InfoGAN
from methods.networks.bodies import MLP
from methods.networks.critics import ImageCritic, LatentCritic
from methods.networks.decoders import Generator
from methods.networks.encoders import GaussianEncoder
from methods.predictability import PredictabilityMinimisation, Predictors
from methods.terms import gaussian_kl
from methods.training.game import Batch, gradient
from methods.vaegan import VAEGAN
from methods.wake_sleep import Generation, Recognition, WakeSleep

SHAPE = (1, 3, 3)


def images(n=6):
    return torch.rand(n, *SHAPE)


# --- the game of each method


def infogan(categories=3, weight=1.0):
    return InfoGAN(
        Generator(SHAPE, categories + 2, MLP((categories + 2,), [8])),
        ImageCritic(MLP(SHAPE, [8])),
        MLP(SHAPE, [8]),
        categories,
        weight,
    )


def test_infogan_is_a_gan_and_the_negative_log_probability_of_its_code():
    batch, weighted, plain = Batch(images()), infogan(), infogan(weight=0.0)
    plain.load_state_dict(weighted.state_dict())
    losses = {}
    for name, method in {"weighted": weighted, "plain": plain}.items():
        torch.manual_seed(1)
        losses[name] = method.generator_loss(batch)
    torch.manual_seed(1)
    z, c = weighted.sample_prior(6)
    fakes = weighted.generate(z, c)
    log_q = weighted.code_logits(fakes).log_softmax(1)[torch.arange(6), c]
    torch.testing.assert_close(losses["plain"], -weighted.discriminator(fakes).sigmoid().log().mean())
    torch.testing.assert_close(losses["weighted"] - losses["plain"], -log_q.mean())


def test_infogans_code_reaches_the_generator_through_its_first_inputs():
    method = infogan()
    seen = []
    method.decoder.generate = lambda inputs: seen.append(inputs) or inputs  # type: ignore[method-assign]
    method.generate(torch.tensor([[5.0, 6.0]]), torch.tensor([1]))
    assert seen[0].tolist() == [[0, 1, 0, 5, 6]]
    with pytest.raises(ValueError, match="no room for a code of 10"):
        InfoGAN(Generator(SHAPE, 4, MLP((4,), [8])), ImageCritic(MLP(SHAPE, [8])), MLP(SHAPE, [8]), 10)


def vaegan(gamma=0.5):
    return VAEGAN(
        GaussianEncoder(2, MLP(SHAPE, [8])), Generator(SHAPE, 2, MLP((2,), [8])), ImageCritic(MLP(SHAPE, [8])), gamma
    )


def repeated(loss, batch):
    torch.manual_seed(1)
    return loss(batch)


def test_vaegans_losses_are_algorithm_1():
    method, batch = vaegan(), Batch(images())
    critic = method.discriminator
    torch.manual_seed(1)
    q = method.encoder(batch.x)
    reconstructed = method.decoder.generate(q.rsample())
    features = 0.5 * (critic.body(batch.x) - critic.body(reconstructed)).square().sum(1).mean()
    torch.testing.assert_close(
        repeated(method.encoder_loss, batch), gaussian_kl(q.mean, q.stddev).mean() + features, atol=1e-5, rtol=1e-5
    )
    torch.manual_seed(1)
    sampled = method.decoder.generate(method.decoder.sample_prior(6))
    reconstructed = method.decoder.generate(method.encode(batch.x))
    real, one, other = (critic(x).sigmoid() for x in (batch.x, reconstructed, sampled))
    features = method.feature_loss(batch.x, reconstructed)
    wanted = 0.5 * features - one.log().mean() - other.log().mean()
    torch.testing.assert_close(repeated(method.decoder_loss, batch), wanted, atol=1e-5, rtol=1e-5)
    wanted = -real.log().mean() - (1 - one).log().mean() - (1 - other).log().mean()
    torch.testing.assert_close(repeated(method.discriminator_loss, batch), wanted, atol=1e-5, rtol=1e-5)


def test_no_gradient_of_the_feature_loss_reaches_vaegans_discriminator():
    batch, found = Batch(images()), []
    for gamma in (0.5, 50.0):  # the only weight of L_feat in the game changes nothing for the discriminator
        torch.manual_seed(0)
        method = vaegan(gamma)
        torch.manual_seed(1)
        found.append(gradient(method.players()["discriminator"], batch)[1])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    players = method.players()
    own = {id(p) for p in players["discriminator"].parameters()}
    assert not any(id(p) in own for name in ("encoder", "decoder") for p in players[name].parameters())


def every_bit_string(n):
    return torch.tensor(list(product((0.0, 1.0), repeat=n)))


def test_wake_sleeps_weights_average_to_the_exact_likelihood():
    hidden = [3, 2]
    method = WakeSleep(Recognition((1, 1, 2), hidden), Generation((1, 1, 2), hidden)).double()
    nn.init.normal_(method.generation.prior)
    method.requires_grad_(False)
    x = torch.tensor([1.0, 0.0]).double()
    states = every_bit_string(5).double()  # every h_1, h_2
    first, second, xs = states[:, :3], states[:, 3:], x.expand(32, 2)
    log_joint = method.generation.log_joint([second, first, xs])
    log_q = method.recognition.log_conditional([xs, first, second])
    exact = torch.logsumexp(log_joint, 0)
    assert float(log_q.exp().sum()) == pytest.approx(1)
    assert float((log_q + (log_joint - log_q)).logsumexp(0)) == pytest.approx(float(exact))
    total = sum(
        float(method.generation.log_joint([second, first, v.expand(32, 2)]).logsumexp(0).exp())
        for v in every_bit_string(2).double()
    )
    assert total == pytest.approx(1)  # p(x) is a distribution
    log_weights = method.log_weight(Batch(x.reshape(1, 1, 1, 2).expand(40_000, -1, -1, -1)))
    weights = log_weights.exp()
    assert abs(float(weights.mean() - exact.exp())) < 5 * float(weights.std()) / 200
    assert float(log_weights.mean()) < float(exact)


def test_wake_and_sleep_are_the_log_likelihoods_of_equation_20():
    method = WakeSleep(Recognition(SHAPE, [4, 2]), Generation(SHAPE, [4, 2]))
    batch = Batch(torch.bernoulli(images()))
    torch.manual_seed(1)
    x, first, second = method.recognition.draw(batch.x.flatten(1))
    bits = torch.distributions.Bernoulli
    below, image = method.generation.layers
    wake = (
        bits(logits=method.generation.prior).log_prob(second).sum(1)
        + bits(logits=below(second)).log_prob(first).sum(1)
        + bits(logits=image(first)).log_prob(x).sum(1)
    )
    torch.testing.assert_close(repeated(method.wake_loss, batch), -wake.mean())
    torch.manual_seed(1)
    second, first, x = method.generation.draw(method.generation.draw_top(6))
    up, top = method.recognition.layers
    sleep = bits(logits=up(x)).log_prob(first).sum(1) + bits(logits=top(first)).log_prob(second).sum(1)
    torch.testing.assert_close(repeated(method.sleep_loss, batch), -sleep.mean())


def test_wake_sleep_refuses_layers_that_do_not_mirror():
    with pytest.raises(ValueError, match="reversed"):
        WakeSleep(Recognition(SHAPE, [4, 2]), Generation(SHAPE, [4, 3]))


def ada(weight=1.0):
    return ADA(MLP(SHAPE, [8]), LatentCritic(2, [8]), 2, 3, weight)


def test_adas_two_losses_at_equal_domains():
    method, x = ada(), images()
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    both = Batch(torch.cat([x, x]), torch.cat([y, torch.full((6,), -1)]))
    # the reversed labels of eq. 2 change nothing where the domains are one: the adversary has nothing to find
    classified = nn.functional.cross_entropy(method.judge(x)[1], y)
    torch.testing.assert_close(method.features_loss(both) - classified, method.discriminator_loss(both))
    with torch.no_grad():
        for p in method.discriminator.layers[-1].parameters():
            p.zero_()
    assert float(method.discriminator_loss(both).detach()) == pytest.approx(2 * math.log(2))
    alone = ada(0.0)  # weight 0 is the classifier of the source alone
    torch.testing.assert_close(alone.features_loss(both), nn.functional.cross_entropy(alone.judge(x)[1], y))


def test_adas_losses_are_equations_1_and_2():
    method, x = ada(0.7), images()
    y = torch.tensor([0, -1, 2, -1, -1, 1])
    source = y >= 0
    features, logits = method.judge(x)
    d = method.discriminator(x, features).sigmoid()
    torch.testing.assert_close(
        method.discriminator_loss(Batch(x, y)), -d[source].log().mean() - (1 - d[~source]).log().mean()
    )
    classified = -logits.log_softmax(1)[source, y[source]].mean()
    confusion = -(1 - d[source]).log().mean() - d[~source].log().mean()
    torch.testing.assert_close(method.features_loss(Batch(x, y)), classified + 0.7 * confusion)


def test_a_batch_of_one_domain_is_an_error():
    for y in (torch.zeros(2, dtype=torch.long), torch.full((2,), -1)):
        with pytest.raises(ValueError, match="holds one only"):
            split_domains(Batch(images(2), y))
    with pytest.raises(ValueError, match="needs labels"):
        split_domains(Batch(images(2)))


def cyclegan(translators=None, weight=10.0):
    there, back = translators or (ConvTranslator(SHAPE, 4, 1), ConvTranslator(SHAPE, 4, 1))
    return CycleGAN(there, back, ImageCritic(MLP(SHAPE, [8])), ImageCritic(MLP(SHAPE, [8])), weight)


def test_identity_translators_have_no_cycle_loss():
    y = torch.tensor([0, 1, 2, -1, -1, -1])
    batch = Batch(images(), y)
    light, heavy = (cyclegan((nn.Identity(), nn.Identity()), weight) for weight in (0.0, 1000.0))
    heavy.load_state_dict(light.state_dict())
    torch.testing.assert_close(light.translators_loss(batch), heavy.translators_loss(batch))
    other, copy = cyclegan(weight=0.0), cyclegan(weight=1000.0)
    copy.load_state_dict(other.state_dict())
    assert float((copy.translators_loss(batch) - other.translators_loss(batch)).detach()) > 1


def test_cyclegans_losses_are_least_squares_and_the_cycles():
    method, batch = cyclegan(), Batch(images(), torch.tensor([0, 1, 2, -1, -1, -1]))
    a, b = batch.x[:3], batch.x[3:]
    t, s = method.to_target, method.to_source
    d_t, d_s = method.critic_target, method.critic_source
    cycles = (s(t(a)) - a).abs().mean() + (t(s(b)) - b).abs().mean()
    wanted = (d_t(t(a)) - 1).square().mean() + (d_s(s(b)) - 1).square().mean() + 10 * cycles
    torch.testing.assert_close(method.translators_loss(batch), wanted)
    wanted = (d_t(b) - 1).square().mean() + d_t(t(a)).square().mean()
    torch.testing.assert_close(method.critic_target_loss(batch), wanted)
    wanted = (d_s(a) - 1).square().mean() + d_s(s(b)).square().mean()
    torch.testing.assert_close(method.critic_source_loss(batch), wanted)


def test_a_predictor_ignores_its_own_unit():
    predictors = Predictors(4, [8])
    jacobian = torch.autograd.functional.jacobian(lambda y: predictors(y[None])[0], torch.rand(4))
    assert torch.equal(jacobian.diagonal(), torch.zeros(4))
    assert (jacobian[~torch.eye(4, dtype=torch.bool)] != 0).all()


def test_predictability_is_one_objective_with_two_signs():
    method, batch = PredictabilityMinimisation(MLP(SHAPE, [8]), Predictors(4, [8]), 4), Batch(images())
    v = method.predictors_loss(batch)
    torch.testing.assert_close(method.code_loss(batch), -v)
    y = method.encode(batch.x)
    wanted = sum(
        (method.predictors.networks[i](torch.cat([y[:, :i], y[:, i + 1 :]], 1)).sigmoid()[:, 0] - y[:, i]).square()
        for i in range(4)
    )
    torch.testing.assert_close(v, wanted.mean())
    assert torch.equal(method.encode(batch.x), y)  # a function of x
