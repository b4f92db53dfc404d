"""A classifier of a dataset's images, which judges samples by its softmax and its features (Unifying, section 4.1).

The paper's network is unpublished beyond "ResNet"; this is the basic block of He et al. 2016, of any size.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from methods.method import Method
from methods.networks.bodies import Body, linear, xavier
from methods.training.game import Batch, Player


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the side (divides it by `stride`, rounding up), then batch norm."""
    layer = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(xavier(layer), nn.BatchNorm2d(n_out))


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + two 3x3 convolutions of x) (He et al. 2016, figure 2)."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.first, self.second = convolution(n_in, n_out, 3, stride), convolution(n_out, n_out, 3)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else convolution(n_in, n_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.shortcut(x) + self.second(relu(self.first(x))))


class ResNet(Body):
    """CIFAR-style residual network: image -> mean over the pixels of the last map [batch, channels[-1]].

    A stage of `blocks` residual blocks for each of `channels`; every stage but the first halves the side.
    """

    def __init__(self, in_shape: tuple, channels: list[int], blocks: int = 1):
        super().__init__()
        layers: list[nn.Module] = [convolution(in_shape[0], channels[0], 3), nn.ReLU()]
        n_in = channels[0]
        for stage, width in enumerate(channels):
            for block in range(blocks):
                layers.append(ResidualBlock(n_in, width, 2 if stage > 0 and block == 0 else 1))
                n_in = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features = n_in

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((2 * x - 1).contiguous(memory_format=torch.channels_last))


class Classifier(Method):
    """One player: min -E log p(y|x), p(y|x) the softmax of a linear layer on the network's features."""

    paper = "Unifying, section 4.1: the network that judges samples"
    equations = "cross-entropy"
    player_names = ("classifier",)
    provides = ("classify",)

    def __init__(self, network: Body, classes: int = 10):
        super().__init__()
        self.network, self.head = network, linear(network.out_features, classes)

    def players(self) -> dict[str, Player]:
        return {"classifier": Player((self.network, self.head), self.classifier_loss)}

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, out_features] of images, and the logits [batch, classes] that are linear in them."""
        features = self.network(x)
        return features, self.head(features)

    def classifier_loss(self, batch: Batch) -> Tensor:
        """Cross-entropy in nats; ValueError for data without labels."""
        if batch.y is None:
            raise ValueError("a classifier needs a dataset with labels")
        return cross_entropy(self.judge(batch.x)[1], batch.y)
