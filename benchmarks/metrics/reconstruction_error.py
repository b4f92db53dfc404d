"""Cross-entropy between x and its reconstruction, nats, mean over pixels (AVB table 1; facts 4.2)."""

import torch

from benchmarks.trained import Estimate, Trained, average

NEEDS = ("decoder", "encode", "data")
UNIT = "nats per pixel"
KIND = "estimate"
BETTER = "lower"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """-log p(x|z) at z ~ q(z|x), divided by the number of pixels."""
    method, rows = trained.method, []
    with torch.no_grad():
        for x in trained.test_x(n).split(batch):
            found = [-method.decoder.log_likelihood(x, method.encode(x)) for _ in range(draws)]
            rows.append(torch.stack(found).mean(0) / x[0].numel())
    values = torch.cat(rows)
    return average(values, f"n={len(values)}, {draws} draws")
