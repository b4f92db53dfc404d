"""The literals `relations` of the methods' files as a graph, and where to draw it: columns, lanes and heights."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy
from matplotlib.path import Path as Curve
from matplotlib.textpath import TextPath
from scipy.optimize import isotonic_regression

from benchmarks.config import declarations
from benchmarks.config.method_cards import described, known
from benchmarks.config.models import Run
from benchmarks.errors import SuiteError


@dataclass
class Graph:
    """Nodes with the text to show, and edges (from, to, kind) from a class to one that it was made from."""

    labels: dict[str, str]
    edges: list[tuple[str, str, str]]

    @classmethod
    def of(cls, runs: Mapping[str, Run]) -> "Graph":
        """Every class of methods/ and every method of these runs that declares or has a relation."""
        related, every = described("relations", runs), declarations.classes() | known(runs)
        edges = [(n, other, kind) for n, d in related.items() for other, kind in d.literals["relations"].items()]
        used = sorted({name for a, b, _ in edges for name in (a, b)})
        return cls({n: every[n].literals.get("correspondence", {}).get("name", n) for n in used}, edges)

    def ranks(self) -> dict[str, int]:
        """Longest path to a class that was made from none; a mere mirror image has the rank of its original."""
        swaps = [(a, b) for a, b, kind in self.edges if kind == "swaps"]
        mirrors = {n: [a if b == n else b for a, b in swaps if n in (a, b)] for n in self.labels}
        made_from = {n: [b for a, b, kind in self.edges if a == n and kind != "swaps"] for n in self.labels}
        found: dict[str, int] = {}

        def rank(name: str, above: tuple[str, ...] = ()) -> int:
            path = (*above, name)
            if name in above:
                raise SuiteError(f"relations: {' -> '.join(path)} is a circle; only swaps may go both ways")
            if name not in found:
                originals = [other for other in mirrors[name] if made_from[other] and not made_from[name]]
                ranks = [rank(other, path) for other in originals] + [
                    rank(other, path) + 1 for other in made_from[name]
                ]
                found[name] = max(ranks, default=0)
            return found[name]

        return {name: rank(name) for name in self.labels}


class Layout:
    """Places in inches: a column for each rank, long edges led around the boxes through a place in each column."""

    GAP, LANE, BETWEEN, FONT = 0.36, 0.16, 0.85, 8.5  # box to box, lane to lane, column to column; points

    def __init__(self, graph: Graph):
        self.rank = graph.ranks()
        texts = {name: TextPath((0, 0), text, size=self.FONT) for name, text in graph.labels.items()}
        self.width = {name: text.get_extents().width / 72 + 0.13 for name, text in texts.items()}
        self.routes = [self.route(number, a, b) for number, (a, b, _) in enumerate(graph.edges)]
        self.columns: list[list[str]] = [[] for _ in range(max(self.rank.values(), default=0) + 1)]
        for name in [*graph.labels, *(n for route in self.routes for n in route[1:-1])]:
            self.columns[self.rank[name]].append(name)
        self.links = [pair for route in self.routes for pair in pairwise(route)]
        self.near = {n: [a if b == n else b for a, b in self.links if n in (a, b)] for n in self.rank}
        self.sort_columns()
        self.y = self.heights()
        widest = [max((self.width.get(n, 0.0) for n in column), default=0.0) for column in self.columns]
        starts = numpy.cumsum([0.0, *(w + self.BETWEEN for w in widest)])
        self.x = {n: float(starts[r] + widest[r] / 2) for n, r in self.rank.items()}
        self.size = (float(starts[-1]) - self.BETWEEN, max(self.y.values(), default=0.0))

    def route(self, number: int, a: str, b: str) -> list[str]:
        """From a to b with a lane in each column between them."""
        step = 1 if self.rank[b] > self.rank[a] else -1
        lanes = {f"{number}:{r}": r for r in range(self.rank[a] + step, self.rank[b], step)}
        self.rank |= lanes
        return [a, *lanes, b]

    def cost(self) -> float:
        """Crossings between neighbouring columns, boxes that edges within a column pass by, and (least) lengths."""
        place = {n: i for column in self.columns for i, n in enumerate(column)}
        ends = [sorted(pair, key=self.rank.__getitem__) for pair in self.links]
        within = sum(max(abs(place[a] - place[b]) - 1, 0) for a, b in ends if self.rank[a] == self.rank[b])
        across = [(self.rank[a], place[a], place[b]) for a, b in ends if self.rank[a] != self.rank[b]]
        crossings = sum(r == s and (i - k) * (j - m) < 0 for r, i, j in across for s, k, m in across) / 2
        share = {n: (i + 0.5) / len(column) for column in self.columns for i, n in enumerate(column)}
        return crossings + 3 * within + sum(abs(share[a] - share[b]) for a, b in ends) / (len(ends) + 1)

    def sort_columns(self, passes: int = 6) -> None:
        """Move each box and lane to the best place in its column, until no such move helps."""
        best = self.cost()
        for _ in range(passes):
            start = best
            for column in self.columns:
                for name in list(column):
                    before, costs = list(column), []
                    column.remove(name)
                    for i in range(len(before)):
                        column.insert(i, name)
                        costs.append(self.cost())
                        column.remove(name)
                    if min(costs) < best:
                        best = min(costs)
                        column.insert(costs.index(best), name)
                    else:
                        column[:] = before
            if best == start:
                return

    def heights(self, sweeps: int = 60) -> dict[str, float]:
        """Each box at the mean height of its neighbours, as far as the order and the gaps of its column allow."""
        y = {n: i * self.GAP for column in self.columns for i, n in enumerate(column)}
        for sweep in range(sweeps):
            for column in self.columns if sweep % 2 else self.columns[::-1]:
                half = [self.GAP / 2 if n in self.width else self.LANE / 2 for n in column]
                offset = numpy.cumsum([0.0, *(a + b for a, b in pairwise(half))])
                wanted = [numpy.mean([y[o] for o in self.near[n]] or [y[n]]) for n in column]
                y |= dict(zip(column, isotonic_regression(wanted - offset).x + offset, strict=True))
        lowest = min(y.values(), default=0.0)
        return {n: float(v - lowest) for n, v in y.items()}

    def sides(self, route: list[str]) -> tuple[int, int]:
        """On which side, right (1) or left (-1), an edge leaves its first and meets its last box."""
        a, b = self.rank[route[0]], self.rank[route[-1]]
        if a != b:
            return (1, -1) if b > a else (-1, 1)
        onward = [self.rank[other] - a for end in (route[0], route[-1]) for other in self.near[end]]
        return (1, 1) if sum(step > 0 for step in onward) <= sum(step < 0 for step in onward) else (-1, -1)

    def spread(self) -> dict[tuple[int, int], float]:
        """(edge, 0 for its first or -1 for its last box) -> how far from the middle it ends, in the others' order."""
        ends: dict[tuple[str, int], list[tuple[float, tuple[int, int]]]] = {}
        for number, route in enumerate(self.routes):
            for end, other, side in zip((0, -1), (1, -2), self.sides(route), strict=True):
                ends.setdefault((route[end], side), []).append((self.y[route[other]], (number, end)))
        found = {}
        for group in ends.values():
            reach = min(0.02 * (len(group) - 1), 0.06)
            found |= dict(
                zip((key for _, key in sorted(group)), numpy.linspace(-reach, reach, len(group)), strict=True)
            )
        return found

    def curve(self, number: int) -> Curve:
        """An edge through its route's places, level at each; within a column, an arc beside it."""
        route, ports = self.routes[number], self.spread()
        points = [(self.x[name], self.y[name]) for name in route]
        for end, side in zip((0, -1), self.sides(route), strict=True):
            x, y = points[end]
            points[end] = (x + side * (self.width[route[end]] / 2 + 0.02), y + ports[number, end])
        if self.rank[route[0]] == self.rank[route[-1]]:
            side, ((x0, y0), (x1, y1)) = self.sides(route)[0], points
            out = side * (max(side * x0, side * x1) + 0.15 + 0.2 * abs(y0 - y1))
            return Curve([(x0, y0), (out, y0), (out, y1), (x1, y1)], [1, 4, 4, 4])
        vertices = [points[0]]
        for (x0, y0), (x1, y1) in pairwise(points):
            vertices += [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)]
        return Curve(vertices, [1, *(4 for _ in vertices[1:])])
