"""Training images per second against pythae and against PyTorch's defaults: same networks, batch and cores.

python -m venv speed && speed/bin/pip install -c constraints.txt -e . pythae==0.1.2
speed/bin/python -m benchmarks.speed.training

Every measurement is a process of its own, as each contestant's user would start it; the runs are interleaved.
`plain` is our loop in float32 on PyTorch's default memory layout, layers and allocator settings.
"""

import argparse
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
from torch import nn

from benchmarks.cli.common import tune_process
from benchmarks.speed.plain import use_defaults
from methods.networks.bodies import MLP, Body, ConvStack, DeconvStack, lay_out
from methods.networks.decoders import BernoulliDecoder
from methods.networks.encoders import GaussianEncoder
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer
from methods.vae import VAE

BATCH = 128
NETWORKS = {  # shape of x, precision of ours, images of an epoch, contestants, channels
    "fully connected 784-512-512-32": ((1, 28, 28), "float32", 20_000, ("pythae",), []),
    "fully connected 784-512-512-32, bf16": ((1, 28, 28), "bfloat16", 20_000, ("pythae",), []),
    "convolutional 16-32-64, 5x5, 32x32": ((3, 32, 32), "bfloat16", 6_000, ("pythae", "plain"), [16, 32, 64]),
    "convolutional 64-128-256, 5x5, 32x32": ((3, 32, 32), "bfloat16", 1_500, ("plain",), [64, 128, 256]),
}


def bodies(name: str) -> tuple[Body, Body]:
    """(encoder body, decoder body) of a network."""
    x_shape, channels = NETWORKS[name][0], NETWORKS[name][4]
    if not channels:
        return MLP(x_shape, [512, 512], "relu"), MLP((32,), [512, 512], "relu")
    encoder = ConvStack(x_shape, channels, [2, 2, 2], activation="relu")
    return encoder, DeconvStack((32,), x_shape, channels[::-1], [2, 2, 2], activation="relu")


def loop_rate(name: str, pixels: torch.Tensor, plain: bool) -> float:
    """Images per second of our loop over one epoch, after a warm-up."""
    x_shape, precision, n = NETWORKS[name][:3]
    encoder, decoder = bodies(name)
    method = lay_out(VAE(GaussianEncoder(32, encoder), BernoulliDecoder(x_shape, 32, decoder)))
    settings = Settings(n // BATCH, BATCH, 1e-3, precision="float32" if plain else precision)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(method, Images(pixels), settings, Path(folder), 0)
        for _ in range(5):
            trainer.one_round()
        trainer.step = 0
        return trainer.run()["images_per_second"]


def pythae_rate(name: str, pixels: torch.Tensor) -> float:
    """Images per second of pythae's trainer: three epochs less one, so that its set-up does not count."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE as PythaeVAE
    from pythae.models import VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    x_shape, _, n = NETWORKS[name][:3]

    class Encoder(BaseEncoder):
        def __init__(self, body):
            super().__init__()
            self.body = body
            self.mean, self.log_variance = nn.Linear(body.out_features, 32), nn.Linear(body.out_features, 32)

        def forward(self, x):
            h = self.body(x)
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self, body):
            super().__init__()
            self.decoder = BernoulliDecoder(x_shape, 32, body)

        def forward(self, z):
            return ModelOutput(reconstruction=self.decoder.logits(z).sigmoid().reshape(-1, *x_shape))

    data = (pixels.numpy() / 255).astype(numpy.float32)

    def seconds(epochs: int) -> float:
        encoder, decoder = bodies(name)
        configuration = VAEConfig(input_dim=x_shape, latent_dim=32, reconstruction_loss="bce")
        model = PythaeVAE(configuration, Encoder(encoder), Decoder(decoder))
        with tempfile.TemporaryDirectory() as folder:
            options = BaseTrainerConfig(
                output_dir=folder, num_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=1e-3,
                no_cuda=True,
            )  # fmt: skip
            dataset = BaseDataset(torch.from_numpy(data), torch.zeros(len(data)))
            trainer = BaseTrainer(model, dataset, training_config=options)
            began = time.perf_counter()
            trainer.train(log_output_dir=folder)
            return time.perf_counter() - began

    return 2 * n / (seconds(3) - seconds(1))


def measure(contestant: str, name: str) -> float:
    """Images per second, in this process."""
    logging.disable(logging.WARNING)
    if contestant == "ours":
        tune_process(2)
    else:
        use_defaults()
    torch.set_num_threads(2)
    x_shape, _, n = NETWORKS[name][:3]
    pixels = torch.randint(0, 256, (n, *x_shape), dtype=torch.uint8)
    return pythae_rate(name, pixels) if contestant == "pythae" else loop_rate(name, pixels, contestant == "plain")


def in_a_process(contestant: str, name: str) -> float:
    """Images per second, measured by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.training", "--measure", contestant, name]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    """Medians of interleaved runs, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", nargs=2, metavar=("CONTESTANT", "NETWORK"), help="print one measurement")
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(*arguments.measure))
        return
    for name, (_, precision, _, others, _) in NETWORKS.items():
        found: dict[str, list[float]] = {contestant: [] for contestant in ("ours", *others)}
        for _ in range(arguments.repeats):
            for contestant, rates in found.items():
                rates.append(in_a_process(contestant, name))
        median = {contestant: statistics.median(rates) for contestant, rates in found.items()}
        rest = "; ".join(f"{c} {median[c]:,.0f}, ratio {median['ours'] / median[c]:.2f}" for c in others)
        print(f"{name}, batch {BATCH}: ours ({precision}) {median['ours']:,.0f} images/s; {rest}", flush=True)


if __name__ == "__main__":
    main()
