"""Images from elsewhere, as a method that can do nothing but sample: what was brought is measured like any other."""

from typing import Literal

import torch
from torch import Tensor

from methods.method import Method
from methods.training.game import Player


class Samples(Method):
    """`n` images of a shape, drawn in their order; uint8 stands for shares v/255 or for the centres of levels."""

    player_names = ()
    provides = ("sample",)
    images: Tensor

    def __init__(self, n: int, shape: list[int], stored: Literal["shares", "levels", "floats"]):
        super().__init__()
        kind = torch.float32 if stored == "floats" else torch.uint8
        self.register_buffer("images", torch.zeros(n, *shape, dtype=kind))
        self.stored, self.given = stored, 0

    def players(self) -> dict[str, Player]:
        """Nobody: there is nothing to train."""
        return {}

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """The next n images [n, *x_shape] in [0, 1]; fewer at the end, ValueError behind it."""
        found = self.images[self.given : self.given + n]
        if not len(found):
            raise ValueError(f"all {len(self.images)} images are given out")
        self.given += len(found)
        x = found.to(device).float()
        return {"shares": x / 255, "levels": (x + 0.5) / 256, "floats": x}[self.stored]
