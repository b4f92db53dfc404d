"""pytorch-fid's port of the Inception network of 2015, as a judge: features of the last pooling, 1008 classes."""

import hashlib
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.errors import NotRunError, SuiteError
from benchmarks.metrics.estimators.scores import Judge
from benchmarks.metrics.trained import Trained

WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
CHECKSUM = "6726825d"  # the first digits of the file's SHA-256, which its authors put into its name
SIZE = "91 MB"


def weights_file(root: Path, download: bool) -> Path:
    """The file of weights below `root`, checked; NotRunError if it is absent and cannot be (or must not be) fetched."""
    from pytorch_fid.inception import FID_WEIGHTS_URL

    path = root / WEIGHTS
    if not path.exists():
        absent = "Inception's weights are not in the data root"
        advice = "`python -m benchmarks doctor` says what to put where"
        if not download:
            raise NotRunError(f"{absent}; {advice}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(path), hash_prefix=CHECKSUM)
        except (OSError, RuntimeError) as error:
            raise NotRunError(f"{absent} and the download failed ({error}); {advice}") from error
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not found.startswith(CHECKSUM):
        raise SuiteError(f"{path}: SHA-256 {found[:8]}..., expected {CHECKSUM}...; delete it and run again")
    return path


def inception(weights: dict[str, Tensor]) -> Judge:
    """The judge with these weights: images [n, 3, height, width] -> features [n, 2048] and logits [n, 1008].

    Images are read as the 8-bit ones they would be on disk. The logits have no bias, as in the original score.
    """
    # its only way to weights is a download and a pickle
    with patch("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: weights):
        from pytorch_fid.inception import InceptionV3

        network: nn.Module = InceptionV3([InceptionV3.DEFAULT_BLOCK_INDEX]).eval()
    last = weights["fc.weight"]

    def judge(x: Tensor) -> tuple[Tensor, Tensor]:
        features = network.to(x.device)((x * 256).floor().clamp(0, 255) / 255)[0].flatten(1)
        return features, features @ last.to(x.device).T

    return judge


def inception_of(trained: Trained, download: bool) -> Judge:
    """The judge for a trained method of colour images."""
    if len(trained.test_x(1).shape) != 4 or trained.test_x(1).shape[1] != 3:
        raise NotRunError("Inception judges colour images; see the columns of our classifier")
    path = weights_file(trained.root, download)
    # pytorch-fid publishes only a pickle and 8 digits of its SHA-256, checked above; weights_only runs no code of it
    return inception(torch.load(path, map_location="cpu", weights_only=True))
