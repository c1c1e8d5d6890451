"""Small symbol expressions that several parts use."""
import mxnet as mx


def constant(values):
    """The numbers `values` as a symbol of shape [len(values)], held by the graph itself and not by a parameter."""
    return mx.sym.Concat(*[mx.sym.full((1,), value) for value in values], dim=0)


def affine(data, factors, offsets, repeats=1):
    """data * factors + offsets on axis 1 of [N, len(factors) * repeats, ...4-d], both repeated along that axis."""
    if any(factor != 1 for factor in factors):
        data = mx.sym.broadcast_mul(data, _channels(factors, repeats))
    if any(offsets):
        data = mx.sym.broadcast_add(data, _channels(offsets, repeats))
    return data


def _channels(values, repeats):
    return mx.sym.Reshape(mx.sym.tile(constant(values), reps=(repeats,)), shape=(1, -1, 1, 1))


def order_first(score):
    """Indices [B, n] that sort score [B, n] from high to low, float32."""
    return mx.sym.argsort(score, axis=1, is_ascend=False)


def rank(score):
    """Place of every element of score [B, n] in its row, 0 for the highest, float32; of equal ones
    the last comes first.

    (The original's order: padding repeats RoIs, so that equal losses are common.)
    """
    order = mx.sym.reverse(mx.sym.argsort(score, axis=1, is_ascend=True), axis=1)
    return mx.sym.argsort(order, axis=1, is_ascend=True)


def row_index(data):
    """The number of its row at every place of data [B, n]."""
    return mx.sym.broadcast_like(mx.sym.expand_dims(mx.sym.contrib.arange_like(data, axis=0), axis=1), data)


def gather_rows(data, index):
    """data [B, n, k] at index [B, m] of its second axis -> [B, m, k]."""
    return mx.sym.gather_nd(data, mx.sym.stack(row_index(index), index, axis=0))


def smooth_l1(prediction, target, weight, sigma):
    """Return weight * smooth L1 of (prediction - target), of their shape.

    Fast R-CNN, arXiv 1504.08083, eq. 3. sigma: the loss is quadratic where the difference is below
    1 / sigma^2.
    """
    return weight * mx.sym.smooth_l1(prediction - target, scalar=sigma)
