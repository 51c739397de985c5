"""The trees, compiled: margins and SHAP contributions of small batches, without XGBoost's cost per call.

XGBoost trains the trees, and reads and checks their file; here they are laid out for a plain loop. A node's children
stand side by side, parents before children, and a leaf is its own left child, so that every payment takes as many
equal steps. A block of payments passes one tree after another. Sums are in XGBoost's order: margins have its bits.

Contributions are TreeSHAP's (S. Lundberg et al., "From local explanations to global understanding", 2020), in closed
form. At a leaf of value v, the features on its path, each either followed (o = 1) or not (o = 0) by this payment, and
followed by a share z of the training payments, play a game whose Shapley value for feature j is

    v (o_j - z_j) * integral over t from 0 to 1 of  product over i != j of (t o_i + (1 - t) z_i)

The product is a polynomial in t: Gauss-Legendre quadrature with half as many points as the tree is deep is exact. Sums
over leaves are taken once for each edge, on the way back up.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.jit import compiled

if TYPE_CHECKING:
    from xgboost import Booster

Matrix = NDArray[np.float32]

BLOCK = 64
"""Payments that pass a tree together: their features stay in the processor's first cache."""
SHAP_BLOCK = 8
MAX_DEPTH = 32

NODE = np.dtype(
    [
        ("column", "u4"),  # of the block's features, doubled: 2 f for missing goes left, 2 f + 1 for missing goes right
        ("left", "u4"),  # first child, counted over all trees; the other follows
        ("threshold", "f4"),
        ("value", "f4"),
    ]
)
EDGE = np.dtype(
    [
        ("parent", "i4"),  # -1 for a root
        ("before", "i4"),  # nearest edge above on the same feature, named by its lower node; -1: none
        ("feature", "i4"),
        ("is_right", "u1"),
        ("is_leaf", "u1"),
        ("share", "f8"),  # z: of the training payments that reach the highest edge on this feature, through all of them
    ]
)
"""The edge that leads to the node of the same number."""


class _Trees(msgspec.Struct):
    """A tree as XGBoost writes it."""

    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[int]
    sum_hessian: list[float]
    categories: Annotated[list[Any], Meta(max_length=0)] = []


class _Model(msgspec.Struct):
    trees: list[_Trees]


class _Gbtree(msgspec.Struct, tag_field="name", tag="gbtree"):
    model: _Model


class _Parameters(msgspec.Struct):
    base_score: str
    num_class: Literal["0"]


class _Learner(msgspec.Struct):
    gradient_booster: _Gbtree
    learner_model_param: _Parameters


class _Document(msgspec.Struct):
    learner: _Learner


@dataclass(frozen=True)
class Forest:
    """Trees of a binary classifier on `features` features. Safe to use from several threads at once."""

    features: int
    nodes: NDArray[np.void]
    edges: NDArray[np.void]
    first: NDArray[np.int64]
    """Number of each tree's first node, and after the last tree the number of nodes."""
    depth: NDArray[np.int64]
    base: np.float32
    """Margin before any tree."""
    expected: float
    """Mean margin over the training payments, as SHAP takes it: base plus the trees' means."""

    @classmethod
    def of(cls, booster: "Booster") -> "Forest":
        """Lay out a booster's trees. Raises ValueError for trees of another kind."""
        document = msgspec.json.decode(bytes(booster.save_raw("json")), type=_Document)
        trees = document.learner.gradient_booster.model.trees
        laid = [_lay_out(tree) for tree in trees]
        first = np.cumsum([0, *(len(nodes) for nodes, _, _, _ in laid)])
        features = int(booster.num_features())
        nodes = np.concatenate([nodes for nodes, _, _, _ in laid])
        edges = np.concatenate([edges for _, edges, _, _ in laid])
        nodes["left"] += np.repeat(first[:-1], np.diff(first)).astype(np.uint32)
        nodes["column"][edges["is_leaf"] == 1] = 2 * features  # a column below everything: a leaf's step is to itself
        probability = float(document.learner.learner_model_param.base_score.strip("[]"))
        base = np.float32(np.log(probability / (1 - probability)))
        depth = np.array([depth for _, _, depth, _ in laid], dtype=np.int64)
        expected = float(base) + sum(mean for _, _, _, mean in laid)
        return cls(features, nodes, edges, first, depth, base, expected)

    def margin(self, features: Matrix) -> NDArray[np.float32]:
        """Margins (n,) of features (n, f), NaN for unknown."""
        features = self._checked(features)
        margin = np.empty(len(features), dtype=np.float32)
        _margin(features, self.nodes, self.first, self.depth, self.base, margin)
        return margin

    def contributions(self, features: Matrix) -> NDArray[np.float64]:
        """SHAP contributions (n, f + 1) in log-odds; the last column is the base value."""
        features = self._checked(features)
        contributions = np.zeros((len(features), self.features + 1))
        points, weights = np.polynomial.legendre.leggauss(int(self.depth.max() + 1) // 2 or 1)
        _contribute(
            features, self.nodes, self.edges, self.first, (points + 1) / 2, weights / 2, int(np.diff(self.first).max()),
            contributions,
        )  # fmt: skip
        contributions[:, -1] = self.expected
        return contributions

    def _checked(self, features: Matrix) -> Matrix:
        """Contiguous float32: compiled code trusts its arguments, and is compiled anew for another layout."""
        assert features.ndim == 2
        assert features.shape[1] == self.features
        return np.ascontiguousarray(features, dtype=np.float32)


def _lay_out(tree: _Trees) -> tuple[NDArray[np.void], NDArray[np.void], int, float]:
    """Nodes, edges, depth and mean value of a tree, numbered from its root in breadth."""
    order, level = [0], [0]
    nodes = np.zeros(len(tree.left_children), dtype=NODE)
    edges = np.zeros(len(tree.left_children), dtype=EDGE)
    edges["parent"], edges["before"] = -1, -1
    mean = 0.0
    for i in range(nodes.size):
        old = order[i]
        left, right = tree.left_children[old], tree.right_children[old]
        if left < 0:
            nodes[i] = (0, i, np.inf, tree.split_conditions[old])
            edges[i]["is_leaf"] = 1
            mean += float(np.float32(tree.split_conditions[old])) * tree.sum_hessian[old] / tree.sum_hessian[0]
            continue
        feature = tree.split_indices[old]
        nodes[i] = (2 * feature + (1 - tree.default_left[old]), len(order), tree.split_conditions[old], 0)
        before = _edge_above(edges, i, feature)
        above = edges[before]["share"] if before >= 0 else 1.0
        for child, is_right in ((left, 0), (right, 1)):
            share = above * tree.sum_hessian[child] / tree.sum_hessian[old]
            edges[len(order)] = (i, before, feature, is_right, 0, share)
            order.append(child)
            level.append(level[i] + 1)
    if max(level) > MAX_DEPTH:
        raise ValueError(f"a tree is deeper than {MAX_DEPTH}")
    return nodes, edges, max(level), mean


def _edge_above(edges: NDArray[np.void], node: int, feature: int) -> int:
    """The nearest edge at or above `node` that splits on `feature`, or -1."""
    while node >= 0:
        if edges[node]["parent"] >= 0 and edges[node]["feature"] == feature:
            return node
        node = int(edges[node]["parent"])
    return -1


@compiled
def _fill(features: Any, start: int, count: int, width: int, block: Any) -> None:
    """A block of payments, transposed, each feature twice: with missing below and with missing above everything."""
    for f in range(features.shape[1]):
        for r in range(count):
            x = features[start + r, f]
            known = x == x
            block[2 * f * width + r] = x if known else np.float32(-np.inf)
            block[(2 * f + 1) * width + r] = x if known else np.float32(np.inf)
    for r in range(count):
        block[2 * features.shape[1] * width + r] = np.float32(-np.inf)


@compiled
def _margin(features: Any, nodes: Any, first: Any, depth: Any, base: Any, margin: Any) -> None:
    # Unsigned: an index that might be negative would be looked at before each use, which takes half of the time.
    width = np.uint32(BLOCK)
    block = np.full((2 * features.shape[1] + 1) * BLOCK, -np.inf, dtype=np.float32)  # the last block may be short
    at, total = np.empty(BLOCK, dtype=np.uint32), np.empty(BLOCK, dtype=np.float32)
    for start in range(0, features.shape[0], BLOCK):
        count = min(BLOCK, features.shape[0] - start)
        _fill(features, start, count, BLOCK, block)
        total[:] = base
        for t in range(depth.size):
            at[:] = first[t]
            for _ in range(depth[t]):
                for r in range(width):
                    node = nodes[at[r]]
                    goes_left = block[node.column * width + r] < node.threshold
                    at[r] = node.left + np.uint32(not goes_left)
            for r in range(width):
                total[r] += nodes[at[r]].value
        margin[start : start + count] = total[:count]


@compiled
def _contribute(
    features: Any, nodes: Any, edges: Any, first: Any, points: Any, weights: Any, most_nodes: int, contributions: Any
) -> None:
    block = np.empty((2 * features.shape[1] + 1) * SHAP_BLOCK, dtype=np.float32)
    followed = np.empty((most_nodes, SHAP_BLOCK))
    inverse = np.empty((most_nodes, points.size, SHAP_BLOCK))
    product = np.empty((most_nodes, points.size, SHAP_BLOCK))
    for start in range(0, features.shape[0], SHAP_BLOCK):
        count = min(SHAP_BLOCK, features.shape[0] - start)
        block[:] = 0
        _fill(features, start, count, SHAP_BLOCK, block)
        for t in range(first.size - 1):
            tree, paths = nodes[first[t] : first[t + 1]], edges[first[t] : first[t + 1]]
            _descend(tree, paths, block, points, followed, inverse, product)
            _ascend(tree, paths, weights, followed, inverse, product, contributions[start : start + count])


@compiled
def _descend(tree: Any, paths: Any, block: Any, points: Any, followed: Any, inverse: Any, product: Any) -> None:
    """Whether each edge is followed, the inverse of its factor in the product, and the product down to it."""
    product[0, :, :] = 1.0
    for i in range(1, tree.size):
        edge = paths[i]
        parent, before, z = edge.parent, edge.before, edge.share
        column, threshold = tree[parent].column * SHAP_BLOCK, tree[parent].threshold
        for r in range(SHAP_BLOCK):
            goes_left = block[column + r] < threshold
            followed[i, r] = 1.0 if goes_left == (edge.is_right == 0) else 0.0
        if before >= 0:
            for r in range(SHAP_BLOCK):
                followed[i, r] *= followed[before, r]
        for q in range(points.size):
            for r in range(SHAP_BLOCK):
                factor = points[q] * followed[i, r] + (1 - points[q]) * z
                product[i, q, r] = product[parent, q, r] * factor
                inverse[i, q, r] = 1 / factor
            if before >= 0:
                for r in range(SHAP_BLOCK):
                    product[i, q, r] *= inverse[before, q, r]


@compiled
def _ascend(tree: Any, paths: Any, weights: Any, followed: Any, inverse: Any, product: Any, contributions: Any) -> None:
    """Sum values times products over the leaves below each edge, and give each edge's feature its part.

    An edge takes back what a lower edge on the same feature is about to receive: there the lower one counts.
    """
    part = np.empty(SHAP_BLOCK)
    for i in range(tree.size - 1, 0, -1):
        edge = paths[i]
        parent, before, z, value = edge.parent, edge.before, edge.share, tree[i].value
        for r in range(SHAP_BLOCK):
            part[r] = 0.0
        for q in range(weights.size):
            if edge.is_leaf:
                for r in range(SHAP_BLOCK):
                    product[i, q, r] *= value
            if edge.is_right:  # it comes first: what its parent had is not needed any more
                for r in range(SHAP_BLOCK):
                    product[parent, q, r] = product[i, q, r]
            else:
                for r in range(SHAP_BLOCK):
                    product[parent, q, r] += product[i, q, r]
            for r in range(SHAP_BLOCK):
                part[r] += weights[q] * product[i, q, r] * (followed[i, r] - z) * inverse[i, q, r]
            if before >= 0:
                for r in range(SHAP_BLOCK):
                    away = (followed[before, r] - paths[before].share) * inverse[before, q, r]
                    part[r] -= weights[q] * product[i, q, r] * away
        for r in range(contributions.shape[0]):
            contributions[r, edge.feature] += part[r]
