"""Seeds, split by name."""

import hashlib


def seed_of(dataset: str, seed: int, purpose: str) -> int:
    """One root seed for each (dataset, seed), split by purpose: init, data, noise, evaluation.

    Runs on the same dataset share them, so that a seed compares methods on what they need not differ in: networks of
    equal roles and sizes begin with equal weights, and runs of one batch size see the same minibatches.
    """
    digest = hashlib.sha256(f"{dataset}/{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
