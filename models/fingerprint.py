"""A 64-bit fingerprint of a payment's features, to compare two runs without keeping the matrices.

It covers what follows from payment and payer alone; entity risk depends on timing and is recorded beside it.
"""

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.engine import RISK
from models.jit import compiled

_OWN = np.array([i for i, name in enumerate(FEATURE_NAMES) if name not in (RISK.names or ())])
_NAN = np.uint32(0x7FC00000)


def fingerprints(features: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(n,) of features (n, 85); every NaN counts as the same."""
    return _fingerprints(features.view(np.uint32), np.isnan(features), _OWN)


@compiled
def _fingerprints(
    bits: NDArray[np.uint32], unknown: NDArray[np.bool_], columns: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """FNV-1a over 32-bit words (G. Fowler, L. C. Noll, K.-P. Vo, 1991), with a final mix."""
    result = np.empty(bits.shape[0], dtype=np.uint64)
    for i in range(bits.shape[0]):
        digest = np.uint64(0xCBF29CE484222325)
        for column in columns:
            word = _NAN if unknown[i, column] else bits[i, column]
            digest = (digest ^ np.uint64(word)) * np.uint64(0x100000001B3)
        result[i] = digest ^ (digest >> np.uint64(32))
    return result
