"""Shared fixtures. Statistical tests are seeded, and their tolerances are at least four standard errors."""

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # two on a shared core wait for each other at every operation
