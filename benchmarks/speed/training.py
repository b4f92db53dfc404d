"""Training images per second against pythae: same networks, batch and cores, interleaved runs in one process.

python -m venv speed && speed/bin/pip install -c constraints.txt -e . pythae==0.1.2
speed/bin/python -m benchmarks.speed.training
"""

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy
import torch
from torch import nn

from methods.data import Images
from methods.decoders import BernoulliDecoder
from methods.encoders import GaussianEncoder
from methods.networks import MLP, ConvStack, DeconvStack
from methods.train import Settings, Trainer
from methods.vae import VAE

NETWORKS = {
    "fully connected 784-512-512-32": ((1, 28, 28), "float32", 20_000),
    "fully connected 784-512-512-32, bf16": ((1, 28, 28), "bfloat16", 20_000),
    "convolutional 16-32-64, 5x5, 32x32": ((3, 32, 32), "bfloat16", 4_000),
}


def bodies(x_shape: tuple[int, ...], convolutional: bool) -> tuple[nn.Module, nn.Module]:
    """(encoder body, decoder body) of either network."""
    if convolutional:
        encoder = ConvStack(x_shape, [16, 32, 64], [2, 2, 2], activation="relu")
        return encoder, DeconvStack((32,), x_shape, [64, 32, 16], [2, 2, 2], activation="relu")
    return MLP(x_shape, [512, 512], "relu"), MLP((32,), [512, 512], "relu")


class Plain(nn.Module):
    """The same layers in PyTorch's default memory layout, as a user of the peer writes them."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body, self.out_features = body, body.out_features
        self.emits_x = body.emits_x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.body, DeconvStack):
            maps = self.body.first(x).reshape(len(x), -1, self.body.side, self.body.side)
            return self.body.layers(maps).flatten(1)
        if isinstance(self.body, ConvStack):
            return self.body.head(self.body.layers(2 * x - 1))
        return self.body(x)


def our_rate(name: str, pixels: torch.Tensor) -> float:
    """Images per second of our loop over one epoch, after a warm-up."""
    x_shape, precision, n = NETWORKS[name]
    encoder, decoder = bodies(x_shape, "convolutional" in name)
    method = VAE(GaussianEncoder(32, encoder), BernoulliDecoder(x_shape, 32, decoder))  # type: ignore[arg-type]
    for module in method.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    settings = Settings(n // 128, 128, 1e-3, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(method, Images(pixels), settings, Path(folder), 0)
        for _ in range(5):
            trainer.one_round()
        trainer.step = 0
        return trainer.run()["images_per_second"]


def pythae_rate(name: str, pixels: torch.Tensor) -> float:
    """Images per second of pythae's trainer: three epochs less one, so that its set-up does not count."""
    from pythae.models import VAE as PythaeVAE
    from pythae.models import VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    x_shape, _, n = NETWORKS[name]

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
        encoder, decoder = (Plain(body) for body in bodies(x_shape, "convolutional" in name))
        configuration = VAEConfig(input_dim=x_shape, latent_dim=32, reconstruction_loss="bce")
        model = PythaeVAE(configuration, Encoder(encoder), Decoder(decoder))
        with tempfile.TemporaryDirectory() as folder:
            options = BaseTrainerConfig(
                output_dir=folder, num_epochs=epochs, per_device_train_batch_size=128, learning_rate=1e-3,
                no_cuda=True,
            )  # fmt: skip
            from pythae.data.datasets import BaseDataset

            dataset = BaseDataset(torch.from_numpy(data), torch.zeros(len(data)))
            trainer = BaseTrainer(model, dataset, training_config=options)
            began = time.perf_counter()
            trainer.train(log_output_dir=folder)
            return time.perf_counter() - began

    return 2 * n / (seconds(3) - seconds(1))


def main() -> None:
    """Medians of interleaved runs, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(2)
    for name, (x_shape, precision, n) in NETWORKS.items():
        pixels = torch.randint(0, 256, (n, *x_shape), dtype=torch.uint8)
        ours, theirs = [], []
        for _ in range(arguments.repeats):
            ours.append(our_rate(name, pixels))
            theirs.append(pythae_rate(name, pixels))
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"{name}: ours ({precision}) {a:,.0f} images/s, pythae {b:,.0f} images/s, ratio {a / b:.2f}", flush=True)


if __name__ == "__main__":
    main()
