"""k-nearest-neighbour estimates from draws: entropy, and KL divergence (ITE's BDKL_KnnK, Szabo 2014)."""

import numpy
from scipy.spatial import KDTree
from scipy.special import digamma, gammaln
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


def checked_draws(*sets: numpy.ndarray, k: int) -> list[numpy.ndarray]:
    """Sets of draws [n, d] as float64; ValueError for NaN, too few points or different dimensions."""
    found = [numpy.asarray(draws, dtype=numpy.float64) for draws in sets]
    if any(draws.ndim != 2 or draws.shape[1] != found[0].shape[1] for draws in found):
        shapes = " and ".join(str(draws.shape) for draws in found)
        raise ValueError(f"k-NN: shapes {shapes}; expected [n, d] and [m, d]")
    if not all(numpy.isfinite(draws).all() for draws in found):
        raise ValueError("k-NN: draws contain NaN or infinity")
    if len(found[0]) <= k or min(map(len, found)) < k:
        raise ValueError(f"k-NN: {' and '.join(str(len(d)) for d in found)} draws are too few for k = {k}")
    return found


def knn_terms(p: numpy.ndarray, q: numpy.ndarray, k: int = 3) -> numpy.ndarray:
    """What each draw [n] adds to `knn_kl`, whose value is their mean, nats; raises what it raises."""
    p, q = checked_draws(p, q, k=k)
    rho = kth_distance(p, p, k + 1)
    nu = kth_distance(p, q, k)
    if (rho <= 0).any() or (nu <= 0).any():
        raise ValueError("k-NN KL: duplicate draws (zero distance); thin the chain or raise k")
    return p.shape[1] * numpy.log(nu / rho) + numpy.log(len(q) / (len(p) - 1))


def knn_kl(p: numpy.ndarray, q: numpy.ndarray, k: int = 3) -> float:
    """KL(p || q) in nats from draws p [n, d] and q [m, d].

    Unbiased only near p = q: elsewhere it can be far too low (docs/protocols.md has figures). Raises ValueError for
    NaN, too few points, different dimensions, or duplicates (a zero distance).
    """
    return float(knn_terms(p, q, k).mean())


def whitening(draws: numpy.ndarray) -> numpy.ndarray:
    """The map W [d, d] for which (draws - their mean) @ W have covariance I; ValueError if they lie in a plane."""
    values, vectors = numpy.linalg.eigh(numpy.atleast_2d(numpy.cov(draws, rowvar=False)))
    if values.min() <= 1e-14 * max(values.max(), 1e-300):
        raise ValueError("k-NN: draws lie in a plane: their covariance is singular")
    return vectors / numpy.sqrt(values)


def log_densities(draws: numpy.ndarray, k: int = 3) -> numpy.ndarray:
    """Estimate [n] of log q at each of its own draws [n, d], nats: minus their mean is the entropy.

    Kozachenko & Leonenko 1987, with neighbours in whitened coordinates, where the density varies least. Raises
    ValueError as `knn_kl` does, and for draws in a plane.
    """
    (draws,) = checked_draws(draws, k=k)
    n, d = draws.shape
    to_white = whitening(draws)
    white = draws @ to_white
    rho = kth_distance(white, white, k + 1)
    if (rho <= 0).any():
        raise ValueError("k-NN entropy: duplicate draws (zero distance); thin the chain or raise k")
    log_ball = 0.5 * d * numpy.log(numpy.pi) - gammaln(0.5 * d + 1)
    return digamma(k) - numpy.log(n - 1) - log_ball - d * numpy.log(rho) + numpy.linalg.slogdet(to_white)[1]
