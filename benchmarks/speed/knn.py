"""k-NN KL of 10,000 x 10 points: seconds, and the distance from the k-d tree's value.

python -m benchmarks.speed.knn
"""

import statistics
import time

import numpy
from scipy.spatial import KDTree

from benchmarks.metrics.estimators.knn import knn_kl


def tree_kl(p: numpy.ndarray, q: numpy.ndarray, k: int = 3) -> float:
    """The same estimate by exact k-d trees."""
    rho = KDTree(p).query(p, [k + 1], workers=-1)[0][:, 0]  # type: ignore[arg-type]
    nu = KDTree(q).query(p, [k], workers=-1)[0][:, 0]  # type: ignore[arg-type]
    return float(p.shape[1] * numpy.log(nu / rho).mean() + numpy.log(len(q) / (len(p) - 1)))


def main() -> None:
    """Medians of five runs."""
    random = numpy.random.default_rng(0)
    for d in (2, 10, 32):
        p, q = random.standard_normal((10_000, d)), 0.3 + random.standard_normal((10_000, d))
        times: dict[str, list[float]] = {"ours": [], "k-d tree": []}
        values = {}
        for _ in range(5):
            for name, function in (("ours", knn_kl), ("k-d tree", tree_kl)):
                began = time.perf_counter()
                values[name] = function(p, q)
                times[name].append(time.perf_counter() - began)
        ours, tree = (statistics.median(t) for t in times.values())
        apart = abs(values["ours"] - values["k-d tree"])
        print(f"d = {d}: ours {ours:.2f} s, k-d tree {tree:.2f} s, values differ by {apart:.1e}")


if __name__ == "__main__":
    main()
