"""PixelRNN: what a sub-pixel may know, exact probabilities, and draws that follow them."""

import math
from itertools import product

import pytest
import torch
from scipy.stats import chi2
from torch.nn import functional as F

from methods.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM, skew, unskew
from methods.training.game import Batch, play_round

CELLS = pytest.mark.parametrize("cell", [RowLSTM, DiagonalBiLSTM])


@pytest.fixture(autouse=True)
def _one_thread(_seeded):
    torch.set_num_threads(1)  # on tensors as small as these, threads only wait for each other


def network_of(cell, x_shape, levels, features=6, layers=2, spread=0.5):
    """Random weights, biases and initial states, so that nothing is hidden by a zero."""
    network = cell(x_shape, features=features, layers=layers, head=9, levels=levels)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(spread * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)
    return network


def every_image(x_shape):
    return torch.tensor(list(product((0.0, 1.0), repeat=math.prod(x_shape)))).reshape(-1, *x_shape)


def changes(outputs, channels, height=4, width=5):
    """How much each of `outputs(v)` [sub-pixels, ..] changes with each sub-pixel [output, input], in writing order.

    One image at a time: a batch of another size would round differently.
    """
    n = channels * height * width
    written = torch.randint(4, (n,))
    images = written.repeat(n + 1, 1)
    images[range(n), range(n)] = (written + 2) % 4
    with torch.no_grad():
        found = [outputs(v.reshape(1, height, width, channels).permute(0, 3, 1, 2)).reshape(n, -1) for v in images]
    return (torch.stack(found[:n]) - found[n]).abs().amax(-1).T


def by_colour(maps, channels):
    """Maps [1, channels * k, height, width] in writing order."""
    return maps.unflatten(1, (channels, -1)).permute(0, 3, 4, 1, 2)


@CELLS
@pytest.mark.parametrize("channels", [1, 3])
def test_a_later_sub_pixel_changes_no_earlier_output(cell, channels):
    change = changes(network_of(cell, (channels, 4, 5), levels=4), channels)
    assert (change.triu() == 0).all()  # its own and later ones
    in_row = torch.arange(1, len(change)) % (5 * channels) != 0  # a Row LSTM's triangle may leave out the row's start
    assert (change.diagonal(-1)[in_row] > 0).float().mean() > 0.5  # the one before, where no ReLU hides it


@pytest.mark.parametrize("channels", [1, 3])
def test_diagonal_bilstm_sees_every_earlier_sub_pixel_but_a_rows_last(channels):
    """Mask A hides a row's last sub-pixel from its row's states: the next row sees it in the 7x7 window only."""
    width = 6
    network = network_of(DiagonalBiLSTM, (channels, 4, width), levels=4).double()

    def features(v):  # below the ReLUs
        return by_colour(network.layers(network.first(network.centred(v))), channels)

    wanted = torch.ones(24 * channels, 24 * channels, dtype=torch.bool).tril(-1)
    for row, column in product(range(1, 4), range(width - 4)):
        first = channels * (row * width + column)
        wanted[first : first + channels, channels * row * width - 1] = False
    assert torch.equal(changes(features, channels, width=width) > 0, wanted)


def test_row_lstm_states_see_a_triangle():
    layer = network_of(RowLSTM, (1, 5, 9), levels=2).layers[0]
    x = torch.randn(1, 12, 5, 9, requires_grad=True)
    (found,) = torch.autograd.grad(layer(x)[0, :, 4, 4].sum(), x)
    row, column = torch.arange(5)[:, None], torch.arange(9)
    # each K_ss goes one to both sides, K_is one to the left
    wanted = (column >= 4 - (4 - row) - 1) & (column <= 4 + (4 - row))
    assert torch.equal(found[0].abs().sum(0) > 0, wanted)


def test_skewing_moves_row_r_by_r_and_back():
    maps = torch.randn(2, 3, 4, 5)
    skewed = skew(maps, torch.full((5,), 7.0))
    assert skewed.shape == (2, 3, 6, 5)
    for row in range(3):
        assert torch.equal(skewed[:, row, row : row + 4], maps[:, row])
    assert (skewed == 7).sum() == 2 * 3 * 2 * 5
    assert torch.equal(unskew(skewed), maps)


def lstm(gates, c):
    o, f, i, g = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_row_lstm_is_the_papers_recurrence():
    layer = network_of(RowLSTM, (1, 3, 4), levels=2).layers[0]
    x, h = torch.randn(1, 12, 3, 4), 6
    gates = layer.input_to_state(x)[0]  # [4h, row, column]
    weight = layer.state_to_state[0].unflatten(0, (3, h))  # taps left above, above, right above
    c = layer.initial[0].expand(4, h)
    state, rows = c.tanh(), []
    for row in range(3):
        above = F.conv1d(state.T[None], weight.permute(2, 1, 0), padding=1)[0]
        state, c = lstm((gates[:, row] + above).T, c)
        rows.append(state)
    wanted = x + layer.up(torch.stack(rows).permute(2, 0, 1)[None])
    torch.testing.assert_close(layer(x), wanted)


def test_diagonal_bilstm_is_the_papers_recurrence():
    layer = network_of(DiagonalBiLSTM, (1, 3, 4), levels=2).layers[0]
    x, h, height, width = torch.randn(1, 12, 3, 4), 6, 3, 4
    gates = layer.input_to_state(x)[0].unflatten(0, (2, 4 * h))
    states = torch.zeros(2, height + 1, width, h)  # row 0: above the image
    for direction, columns in enumerate((range(width), reversed(range(width)))):
        order = list(columns)
        for row in range(height):
            c = layer.initial[direction]
            state = c.tanh()
            for column in order:
                near = torch.cat([states[direction, row, column], state])
                found = gates[direction, :, row, column] + near @ layer.state_to_state[direction]
                state, c = lstm(found, c)
                states[direction, row + 1, column] = state
    both = states[0, 1:] + states[1, :-1]  # the right one moved down by a row
    torch.testing.assert_close(layer(x), x + layer.up(both.permute(2, 0, 1)[None]))


@CELLS
@pytest.mark.parametrize(("x_shape", "levels"), [((1, 2, 2), 2), ((3, 1, 2), 2), ((1, 3, 3), 2)])
def test_probabilities_sum_to_one(cell, x_shape, levels):
    method = PixelRNN(network_of(cell, x_shape, levels, spread=2.0))
    with torch.no_grad():
        log_p = method.log_prob(every_image(x_shape))
    assert log_p.std() > 0.3  # far from uniform
    assert float(log_p.double().exp().sum()) == pytest.approx(1, abs=1e-5)


@CELLS
def test_draws_follow_the_probabilities(cell):
    method, n = PixelRNN(network_of(cell, (1, 2, 2), 2)), 50_000
    with torch.no_grad():
        expected = n * method.log_prob(every_image((1, 2, 2))).double().exp()
    assert expected.min() > 5
    assert expected.max() > 1.5 * n / 16
    draws = method.sample(n).flatten(1)
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    counts = torch.bincount((draws @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long(), minlength=16)
    assert ((counts - expected).square() / expected).sum() < chi2.ppf(1 - 1e-4, 15)


@CELLS
@pytest.mark.parametrize("x_shape", [(1, 5, 4), (3, 4, 5)])
def test_cached_sampling_is_the_naive_one(cell, x_shape):
    network, n, (channels, height, width) = network_of(cell, x_shape, levels=8), 20, x_shape
    torch.manual_seed(3)
    found = network.sample(n)
    torch.manual_seed(3)
    naive = torch.zeros(n, *x_shape, dtype=torch.long)
    with torch.no_grad():
        for row, column, channel in product(range(height), range(width), range(channels)):
            p = network(naive)[:, row, column, channel].softmax(-1)
            naive[:, channel, row, column] = torch.multinomial(p, 1)[:, 0]
    assert torch.equal(found, naive)
    assert len(found.unique()) == 8


@CELLS
def test_dequantisation_noise_is_never_seen(cell):
    method = PixelRNN(network_of(cell, (3, 3, 3), 256))
    v = torch.randint(256, (4, 3, 3, 3))
    v[0], v[1] = 0, 255
    with torch.no_grad():
        centre, low = method.log_prob((v + 0.5) / 256), method.log_prob(v / 256)
        assert torch.equal(centre, low)
        assert torch.equal(centre, method.log_prob((v + 0.99) / 256))
        assert torch.equal(centre, method.log_prob(v / 255))  # the scale of `sample`
    draws = method.sample(2)
    assert torch.equal((draws * 256).floor().clamp(max=255), (draws * 255).round())


@CELLS
def test_training_finds_the_correlations(cell):
    """Each row is a fair coin's colour in every pixel, flipped with probability 0.05: alone, a pixel costs log 2."""
    rows = torch.bernoulli(torch.full((64, 1, 4, 1), 0.5)).expand(-1, -1, -1, 4)
    x = (rows - torch.bernoulli(torch.full(rows.shape, 0.05))).abs()
    method = PixelRNN(cell((1, 4, 4), features=8, layers=1, head=16, levels=2))
    players = method.players()
    optimisers = {"model": torch.optim.Adam(players["model"].parameters(), lr=1e-2)}
    batches = iter(lambda: Batch(x), None)
    first = float(play_round(players, optimisers, batches, 0)["model"])
    losses = [float(play_round(players, optimisers, batches, step)["model"]) for step in range(80)]
    independent = 16 * math.log(2)
    assert first > 0.95 * independent
    assert losses[-1] < 0.7 * independent
