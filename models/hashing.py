"""BLAKE3 and XXH3 of short texts that lie in a buffer, compiled: no Python string is made, no interpreter lock held.

The hashes are those that polars-hash takes of columns of strings in `models.tokens` and `models.batch`; tests hold them
equal. After https://github.com/BLAKE3-team/BLAKE3-specs, sections 2.1 to 2.5, and
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, XXH3 of up to 128 bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.jit import byte_at, compiled, eight_at

Words = NDArray[np.uint32]

# BLAKE3
BLOCK = 64
CHUNK = 1024
"""Longer messages are trees of chunks, which is not here."""
CHUNK_START, CHUNK_END, ROOT = 1, 2, 8
_IV = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], dtype=np.uint32
)
_ROUNDS = 7

# XXH3
MAX_XXH3 = 128
"""Longer texts take another way, which is not here."""
_PRIME_1, _PRIME_2, _PRIME_3 = np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_RRMXMX, _AVALANCHE = np.array([0x9FB21C651E98DF25, 0x165667919E3779F9], dtype=np.uint64)
_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
        "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    ),
    dtype="<u8",
)


def after_first_block(block: bytes) -> Words:
    """BLAKE3's chaining value (8,) after a chunk's first 64 bytes: of a common beginning it is needed only once."""
    assert len(block) == BLOCK
    message = np.frombuffer(block, dtype=np.uint8)
    return np.array(_compress(tuple(_IV), message.ctypes.data, BLOCK, CHUNK_START), dtype=np.uint32)


@compiled
def blake3(start: Any, p: Any, length: Any) -> Any:
    """First 128 bits, as two little-endian halves, of the message whose first block gave the chaining value at address
    `start`, and whose other `length` bytes, 1 to 960, lie at `p`, followed by zeros to the end of the block."""
    cv = _words(start) + _words(start + 16)
    while length > BLOCK:
        cv = _compress(cv, p, BLOCK, 0)
        p += BLOCK
        length -= BLOCK
    cv = _compress(cv, p, length, CHUNK_END | ROOT)
    return (
        np.uint64(cv[0]) | (np.uint64(cv[1]) << np.uint64(32)),
        np.uint64(cv[2]) | (np.uint64(cv[3]) << np.uint64(32)),
    )


@compiled
def _words(p):
    a, b = eight_at(p), eight_at(p + 8)
    return np.uint32(a), np.uint32(a >> np.uint64(32)), np.uint32(b), np.uint32(b >> np.uint64(32))


@compiled
def _compress(cv, p, length, flags):
    m = _words(p) + _words(p + 16) + _words(p + 32) + _words(p + 48)
    s = (
        cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7], _IV[0], _IV[1], _IV[2], _IV[3],
        np.uint32(0), np.uint32(0), np.uint32(length), np.uint32(flags),
    )  # fmt: skip
    for _ in range(_ROUNDS - 1):
        s = _round(s, m)
        m = (m[2], m[6], m[3], m[10], m[7], m[0], m[4], m[13], m[1], m[11], m[12], m[5], m[9], m[14], m[15], m[8])
    s = _round(s, m)
    return (
        s[0] ^ s[8], s[1] ^ s[9], s[2] ^ s[10], s[3] ^ s[11], s[4] ^ s[12], s[5] ^ s[13], s[6] ^ s[14], s[7] ^ s[15],
    )  # fmt: skip


@compiled
def _round(s, m):
    s0, s4, s8, s12 = _mix(s[0], s[4], s[8], s[12], m[0], m[1])
    s1, s5, s9, s13 = _mix(s[1], s[5], s[9], s[13], m[2], m[3])
    s2, s6, s10, s14 = _mix(s[2], s[6], s[10], s[14], m[4], m[5])
    s3, s7, s11, s15 = _mix(s[3], s[7], s[11], s[15], m[6], m[7])
    s0, s5, s10, s15 = _mix(s0, s5, s10, s15, m[8], m[9])
    s1, s6, s11, s12 = _mix(s1, s6, s11, s12, m[10], m[11])
    s2, s7, s8, s13 = _mix(s2, s7, s8, s13, m[12], m[13])
    s3, s4, s9, s14 = _mix(s3, s4, s9, s14, m[14], m[15])
    return s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15


@compiled
def _mix(a, b, c, d, x, y):
    a = np.uint32(a + b + x)
    d = _turned(d ^ a, 16)
    c = np.uint32(c + d)
    b = _turned(b ^ c, 12)
    a = np.uint32(a + b + y)
    d = _turned(d ^ a, 8)
    c = np.uint32(c + d)
    b = _turned(b ^ c, 7)
    return a, b, c, d


@compiled
def _turned(x, bits):
    return np.uint32((x >> np.uint32(bits)) | (x << np.uint32(32 - bits)))


@compiled
def xxh3(p: Any, length: Any) -> Any:
    """XXH3, 64 bits, seed 0, of the `length` bytes at address `p`; 1 to 128 of them."""
    n, end = np.uint64(length), p + length
    if length > 16:
        sum_ = n * _PRIME_1
        for k in range((length - 1) // 32 + 1):
            sum_ += _folded(p + 16 * k, 4 * k) + _folded(end - 16 * (k + 1), 4 * k + 2)
        return _avalanche(sum_)
    if length > 8:
        low = eight_at(p) ^ (_SECRET[3] ^ _SECRET[4])
        high = eight_at(end - 8) ^ (_SECRET[5] ^ _SECRET[6])
        return _avalanche(n + _swapped(low) + high + _product_folded(low, high))
    if length > 3:
        both = (eight_at(end - 8) >> np.uint64(32)) + (eight_at(p) << np.uint64(32))
        h = both ^ (_SECRET[1] ^ _SECRET[2])
        h ^= _rotated(h, 49) ^ _rotated(h, 24)
        h *= _RRMXMX
        h ^= (h >> np.uint64(35)) + n
        h *= _RRMXMX
        return h ^ (h >> np.uint64(28))
    first, middle, last = np.uint64(byte_at(p)), np.uint64(byte_at(p + (length >> 1))), np.uint64(byte_at(end - 1))
    h = (first << np.uint64(16)) | (middle << np.uint64(24)) | last | (n << np.uint64(8))
    h ^= (_SECRET[0] ^ (_SECRET[0] >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(33)
    h *= _PRIME_2
    h ^= h >> np.uint64(29)
    h *= _PRIME_3
    return h ^ (h >> np.uint64(32))


@compiled
def _rotated(x, bits):
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@compiled
def _swapped(x):
    y = np.uint64(0)
    for k in range(8):
        y |= ((x >> np.uint64(8 * k)) & np.uint64(0xFF)) << np.uint64(56 - 8 * k)
    return y


@compiled
def _folded(p, k):
    return _product_folded(eight_at(p) ^ _SECRET[k], eight_at(p + 8) ^ _SECRET[k + 1])


@compiled
def _product_folded(a, b):
    """Both halves of the 128-bit product, xored."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    low = (a & mask) * (b & mask)
    cross = (a >> half) * (b & mask) + (low >> half)
    other = (a & mask) * (b >> half) + (cross & mask)
    high = (a >> half) * (b >> half) + (cross >> half) + (other >> half)
    return ((other << half) | (low & mask)) ^ high


@compiled
def _avalanche(h):
    h ^= h >> np.uint64(37)
    h *= _AVALANCHE
    return h ^ (h >> np.uint64(32))
