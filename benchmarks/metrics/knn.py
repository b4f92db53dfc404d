"""k-nearest-neighbour estimate of a KL divergence: ITE's BDKL_KnnK (Szabo 2014; Wang et al. 2009, eq. 14)."""

import numpy
from scipy.spatial import KDTree
from sklearn.neighbors import NearestNeighbors


def kth_distance(points: numpy.ndarray, among: numpy.ndarray, k: int) -> numpy.ndarray:
    """Euclidean distance [n] of each of `points` [n, d] to its k-th nearest neighbour in `among` [m, d]."""
    if points.shape[1] <= 4:
        found = KDTree(among).query(points, [k], workers=-1)[0][:, 0]  # type: ignore[arg-type]
    else:  # brute force wins above four dimensions; float64 keeps it equal to the tree
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(among)
        index = search.kneighbors(points, return_distance=False)[:, k - 1]
        found = numpy.linalg.norm(points - among[index], axis=1)
    return found


def knn_kl(p: numpy.ndarray, q: numpy.ndarray, k: int = 3) -> float:
    """KL(p || q) in nats from draws p [n, d] and q [m, d].

    Unbiased only near p = q: where p reaches beyond q it is far too low (docs/protocols.md has figures). Raises
    ValueError for NaN, too few points, different dimensions, or duplicates (a zero distance).
    """
    p, q = numpy.asarray(p, dtype=numpy.float64), numpy.asarray(q, dtype=numpy.float64)
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[1]:
        raise ValueError(f"k-NN KL: shapes {p.shape} and {q.shape}; expected [n, d] and [m, d]")
    if not (numpy.isfinite(p).all() and numpy.isfinite(q).all()):
        raise ValueError("k-NN KL: draws contain NaN or infinity")
    if len(p) <= k or len(q) < k:
        raise ValueError(f"k-NN KL: {len(p)} and {len(q)} draws are too few for k = {k}")
    rho = kth_distance(p, p, k + 1)
    nu = kth_distance(p, q, k)
    if (rho <= 0).any() or (nu <= 0).any():
        raise ValueError("k-NN KL: duplicate draws (zero distance); thin the chain or raise k")
    return float(p.shape[1] * numpy.mean(numpy.log(nu / rho)) + numpy.log(len(q) / (len(p) - 1)))
