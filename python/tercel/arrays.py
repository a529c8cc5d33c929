"""How numpy's arrays cross to the compiled half, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InvalidArgumentError

# Types that numpy itself has not: Tercel's name -> the name in ml_dtypes.
_EXTENSION_TYPES = {
    "bf16": "bfloat16",
    "f8e4m3fn": "float8_e4m3fn",
    "f8e4m3fnuz": "float8_e4m3fnuz",
    "f8e5m2": "float8_e5m2",
    "f8e5m2fnuz": "float8_e5m2fnuz",
    "f8e8m0": "float8_e8m0fnu",
    "f6e2m3": "float6_e2m3fn",
    "f6e3m2": "float6_e3m2fn",
    "f4e2m1": "float4_e2m1fn",
    "i4": "int4",
    "u4": "uint4",
    "i2": "int2",
    "u2": "uint2",
}
# Types of which several elements lie in a byte: -> bits of one.
_PACKED_BITS = {"f6e2m3": 6, "f6e3m2": 6, "f4e2m1": 4, "i4": 4, "u4": 4, "i2": 2, "u2": 2}
_TERCEL_NAMES = {numpy_name: name for name, numpy_name in _EXTENSION_TYPES.items()} | {
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "c64",
    "complex128": "c128",
    "bool": "bool",
    **{f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def carry(name: str, value: Any, sequence: bool = False) -> tuple | None:
    """An array as the compiled half takes it: its type's name and its memory. Lists of arrays for a sequence."""
    if not isinstance(name, str):
        raise InvalidArgumentError(f"inputs are given by name, a str; got {name!r}")
    if value is None:
        return None
    if sequence and isinstance(value, (list, tuple)):
        return "sequence", [carry(f"{name}[{index}]", item) for index, item in enumerate(value)]
    array = np.asarray(value, order="C")
    if array.dtype.kind in "USOT":
        items = array.ravel().tolist()
        if not all(isinstance(item, (str, bytes)) for item in items):
            raise InvalidArgumentError(f'input "{name}": expected numbers or strings, got objects')
        items = [item.encode(errors="surrogateescape") if isinstance(item, str) else item for item in items]
        return "string", items, list(array.shape)
    dtype = _TERCEL_NAMES.get(array.dtype.name)
    if dtype is None or not array.dtype.isnative:
        raise InvalidArgumentError(f'input "{name}": numpy dtype {array.dtype} has no equal in Tercel')
    if dtype in _PACKED_BITS:
        return dtype, _pack(array.view(np.uint8), _PACKED_BITS[dtype]), list(array.shape)
    return dtype, array.view(f"u{array.itemsize}") if dtype in _EXTENSION_TYPES else array


def _pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """One code a byte to a stream of bits, the first element in the lowest."""
    each = np.unpackbits(codes.ravel()[:, None], axis=1, bitorder="little")[:, :bits]
    return np.packbits(each.ravel(), bitorder="little")


def _unpack(packed: np.ndarray, bits: int, shape: Sequence[int]) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    each = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits)
    return np.packbits(each, axis=1, bitorder="little").reshape(shape)


def uncarry(carried: tuple | None) -> Any:
    if carried is None:
        return None
    dtype, value, *rest = carried
    if dtype == "sequence":
        return [uncarry(item) for item in value]
    if dtype in _PACKED_BITS:
        value = _unpack(value, _PACKED_BITS[dtype], rest[0])
    if dtype == "string":
        strings = np.empty(len(value), dtype=object)
        strings[:] = [item.decode(errors="surrogateescape") for item in value]
        return strings.reshape(rest[0])
    if dtype in _EXTENSION_TYPES:
        try:
            import ml_dtypes
        except ImportError:  # unsigned integers then
            return value
        return value.view(getattr(ml_dtypes, _EXTENSION_TYPES[dtype]))
    return value
