"""Element by element, and along an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from op_cases.dice import FLOATS, INTEGERS, Call, Case, Dice, ints


def unary(op: str, low: float = -3, high: float = 3, **attributes) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        values = dice.numpy.uniform(low, high, dice.shape()).astype(np.float32)
        return Call(op, [values], attributes=attributes)

    return make


def binary(op: str, dtypes, low: int = -9, high: int = 9) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape, dtype = dice.shape(), dice.pick(dtypes)
        shapes = [shape, dice.broadcast(shape)]
        dice.random.shuffle(shapes)
        floor = 0 if np.dtype(dtype).kind == "u" else low
        if dtype is bool:
            return Call(op, [dice.bools(each) for each in shapes])
        if dtype in FLOATS:
            return Call(op, [dice.numpy.uniform(low, high, each).astype(dtype) for each in shapes])
        return Call(op, [dice.integers(floor, high, each, dtype) for each in shapes])

    return make


def divide(dice: Dice) -> Call:
    call = binary("Div", [np.float32, np.int32, np.int64])(dice)
    call.inputs[1][call.inputs[1] == 0] = 3
    return call


def modulo(dice: Dice) -> Call:
    call = binary("Mod", [np.float32, np.int32, np.int64, np.uint8])(dice)
    call.inputs[1][call.inputs[1] == 0] = 3
    call.attributes = {"fmod": int(call.inputs[0].dtype == np.float32 or dice.chance(0.5))}
    return call


def power(dice: Dice) -> Call:
    call = binary("Pow", [np.float32], 0, 4)(dice)
    if dice.chance(0.3):
        call.inputs[1] = np.full((), dice.pick([0, 0.5, 1, 2, 3, -1]), np.float32)
    return call


def bit_shift(dice: Dice) -> Call:
    call = binary("BitShift", [np.uint8, np.uint32, np.uint64], 0, 7)(dice)
    call.attributes = {"direction": dice.pick(["LEFT", "RIGHT"])}
    return call


def variadic(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape()
        return Call(op, [dice.floats(dice.broadcast(shape)) for _ in range(dice.random.randint(1, 4))])

    return make


def where(dice: Dice) -> Call:
    shape = dice.shape()
    values = dice.any(dice.broadcast(shape))
    return Call("Where", [dice.bools(dice.broadcast(shape)), values, dice.any(shape).astype(values.dtype)])


def clip(dice: Dice) -> Call:
    values = dice.any(dice.shape())
    bounds = [np.array(bound, values.dtype) if dice.chance(0.7) else None for bound in (-1, 2)]
    return Call("Clip", [values, *bounds])


def prelu(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    slope = [1 if dice.chance(0.3) else size for size in shape]
    return Call("PRelu", [dice.floats(shape), dice.floats(slope[dice.random.randrange(len(slope)) :])])


def along_axis(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape(dice.random.randint(1, 4), low=1)
        return Call(op, [dice.floats(shape)], attributes={"axis": dice.axis(len(shape))})

    return make


def reduction(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        # What an empty maximum is differs between types and runtimes.
        shape = dice.shape(dice.random.randint(0, 5), low=0 if op in ("ReduceSum", "ReduceL1") else 1)
        values = dice.numpy.uniform(0.5, 2, shape).astype(np.float32)
        axes = ints(*dice.axes(len(shape))) if dice.chance(0.8) else None
        attributes = {"keepdims": dice.random.randint(0, 1), "noop_with_empty_axes": dice.random.randint(0, 1)}
        return Call(op, [values, axes], attributes=attributes, constants=(1,))

    return make


def arg(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape(dice.random.randint(1, 4), low=1)
        attributes = {"axis": dice.axis(len(shape)), "keepdims": dice.random.randint(0, 1)}
        attributes["select_last_index"] = dice.random.randint(0, 1)
        return Call(op, [dice.integers(-3, 3, shape).astype(np.float32)], attributes=attributes)

    return make


def top_k(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    values = dice.numpy.permutation(int(np.prod(shape))).reshape(shape).astype(dice.pick([np.float32, np.int64]))
    attributes = {"axis": axis, "largest": dice.random.randint(0, 1)}
    return Call("TopK", [values, ints(dice.random.randint(0, shape[axis]))], 2, attributes)


def cum_sum(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    attributes = {"exclusive": dice.random.randint(0, 1), "reverse": dice.random.randint(0, 1)}
    return Call("CumSum", [dice.any(shape), np.array(dice.axis(len(shape)), np.int64)], attributes=attributes)


def gemm(dice: Dice) -> Call:
    m, n, k = dice.size(), dice.size(1), dice.size(1)
    transposed = dice.random.randint(0, 1), dice.random.randint(0, 1)
    a, b = dice.floats([k, m] if transposed[0] else [m, k]), dice.floats([n, k] if transposed[1] else [k, n])
    c = dice.floats(dice.pick([[m, n], [n], [1, n], [m, 1], [1], []])) if dice.chance(0.8) else None
    attributes = {"transA": transposed[0], "transB": transposed[1], "alpha": dice.pick([1.0, 0.5]), "beta": 0.25}
    return Call("Gemm", [a, b, c], attributes=attributes)


def matmul(dice: Dice) -> Call:
    m, n, k = dice.size(), dice.size(), dice.size(1)
    batch = dice.shape(dice.random.randint(0, 2))
    a, b = [*dice.broadcast(batch), m, k], [*batch, k, n]
    if dice.chance(0.2):
        a = [k]
    elif dice.chance(0.2):
        b = [k]
    dtype = dice.pick([*FLOATS, np.int32])
    values = [
        dice.integers(-5, 5, shape, dtype) if dtype is np.int32 else dice.floats(shape, dtype) for shape in (a, b)
    ]
    return Call("MatMul", values)


def determinant(dice: Dice) -> Call:
    size = dice.random.randint(1, 6)
    return Call("Det", [dice.floats([*dice.shape(dice.random.randint(0, 2)), size, size])])


def einsum(dice: Dice) -> Call:
    sizes = {letter: dice.size(1) for letter in "bhijkd"}
    equation = dice.pick(
        ["ij,jk->ik", "bhid,bhjd->bhij", "bij,bjk", "bi,bj->bij", "ii->i", "ij->", "ij->ji", "i,i", "bid,dh->bhi"]
        + ["bij,bjk,k->bi", "...ij,...jk->...ik", "b...,b...->b...", "ijk->k", "bijd,bjd->bi"]
    )
    shapes = []
    for term in equation.split("->")[0].split(","):
        lead = [3, 2] if "..." in term else []
        names = term.replace("...", "")
        before, after = ("", names) if term.startswith("...") else (names, "")
        shapes.append([*(sizes[n] for n in before), *lead, *(sizes[n] for n in after)])
    return Call("Einsum", [dice.floats(shape) for shape in shapes], attributes={"equation": equation})


CASES: dict[str, Case] = {
    **{op: unary(op) for op in ("Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSwish", "LeakyRelu", "Neg")},
    **{op: unary(op) for op in ("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh")},
    **{op: unary(op, 0.01, 9) for op in ("Log", "Sqrt", "Reciprocal")},
    **{op: binary(op, [np.float32, np.float64, np.int32, np.int64]) for op in ("Add", "Sub", "Mul")},
    **{op: binary(op, [np.float32, np.int32, np.int64]) for op in ("Equal", "Less", "Greater", "LessOrEqual")},
    **{op: binary(op, [bool]) for op in ("And", "Or", "Xor")},
    **{op: binary(op, INTEGERS) for op in ("BitwiseAnd", "BitwiseXor")},
    **{op: variadic(op) for op in ("Max", "Min", "Mean", "Sum")},
    **{op: along_axis(op) for op in ("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")},
    **{f"Reduce{op}": reduction(f"Reduce{op}") for op in ("Sum", "Mean", "Max", "Min", "Prod", "SumSquare")},
    **{f"Reduce{op}": reduction(f"Reduce{op}") for op in ("L1", "L2", "LogSum", "LogSumExp")},
    **{op: arg(op) for op in ("ArgMax", "ArgMin")},
    "Div": divide,
    "Mod": modulo,
    "Pow": power,
    "BitShift": bit_shift,
    "Where": where,
    "Clip": clip,
    "PRelu": prelu,
    "TopK": top_k,
    "CumSum": cum_sum,
    "Det": determinant,
    "Einsum": einsum,
    "Shrink": unary("Shrink", lambd=0.7, bias=0.2),
    "Gemm": gemm,
    "MatMul": matmul,
}
