"""Weights and worth of the native operator DFFWinograd; its maths: lib/operator_cxx/winograd/README.md."""
import numpy as np

PANEL, LANES, POSITIONS, TILE, ROWS = 16, 8, 36, 4, 6      # as in lib/operator_cxx/winograd, common/gemm.h
# Of F(4x4, 3x3), points 0, 1, -1, 2, -2 and infinity (Lavin and Gray, arXiv 1509.09308).
G = np.array([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
              [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]])


def transformed(weight):
    """Weight [O, I, 3, 3], [O, I, 5, 5] of stride 2, or [I, O, 4, 4] of a deconvolution of stride 2, as DFFWinograd
    takes it: float32 [36, panels, depth, 16].
    """
    weight = {3: np.asarray, 5: _phases, 4: _doubling}[weight.shape[2]](weight)
    filters, depth = weight.shape[0], _up(weight.shape[1], LANES)
    out = np.zeros((POSITIONS, _up(filters, PANEL) // PANEL, depth, PANEL), np.float32)
    for panel in range(out.shape[1]):       # piece by piece: in float64 the whole would need twice its memory again
        part = weight[panel * PANEL:(panel + 1) * PANEL].astype(np.float64)
        products = np.dot(np.kron(G, G), part.transpose(2, 3, 1, 0).reshape(9, -1))       # G w G^T of every w
        out[:, panel, :part.shape[1], :part.shape[0]] = products.reshape(POSITIONS, part.shape[1], part.shape[0])
    return out


def _phases(weight):
    """A 5x5 kernel of stride 2 as a 3x3 one on the four maps of every second row and column, one after the other."""
    filters, channels = weight.shape[:2]
    step = _up(channels, LANES)
    out = np.zeros((filters, 4 * step, 3, 3), weight.dtype)
    for phase in range(4):
        part = weight[:, :, phase // 2::2, phase % 2::2]
        out[:, phase * step:phase * step + channels, :part.shape[2], :part.shape[3]] = part
    return out


def _doubling(weight):
    """A 4x4 deconvolution of stride 2 as a 3x3 convolution: of each filter one for the even rows and columns of the
    result, then even and odd, odd and even, odd and odd ones.
    """
    channels, filters = weight.shape[:2]
    out = np.zeros((filters, 2, 2, channels, 3, 3), weight.dtype)
    taps = [(0, 3), (1, 1)], [(1, 2), (2, 0)]       # (of the convolution, of the deconvolution), even and odd
    for row, column in np.ndindex(2, 2):
        for y, from_y in taps[row]:
            for x, from_x in taps[column]:
                out[:, row, column, :, y, x] = weight[:, :, from_y, from_x].T
    return out.reshape(4 * filters, channels, 3, 3)


def fits(node):
    """Return whether DFFWinograd can compute the convolution `node`."""
    kernel, dilation, stride = node.get('kernel'), node.get('dilate', (1, 1)), node.get('stride', (1, 1))
    pad = node.get('pad', (0, 0))
    plain = kernel == (3, 3) and stride == (1, 1) and pad == dilation and dilation[0] == dilation[1]
    strided = kernel == (5, 5) and stride == (2, 2) and pad == (2, 2) and dilation == (1, 1)
    return (plain or strided) and node.get('num_group', 1) == 1


def depth_of(channels, stride):
    """Return how many channels the weight of DFFWinograd has for a layer's input channels and stride."""
    return _up(channels, LANES) * stride ** 2


def pays(node, in_shape, out_shape):
    """Return whether DFFWinograd takes clearly less time than oneDNN for a convolution that it can compute.

    node, in_shape, out_shape: as of `cost`.
    """
    return cost(node, in_shape, out_shape) < 0.8 * in_shape[1] * np.prod(out_shape[1:]) * np.prod(node.get('kernel'))


def cost(node, in_shape, out_shape):
    """Return the time of DFFWinograd for a layer and one image, in multiply-adds.

    What moving a value of a transformed map and reading a transformed weight cost was measured on
    AVX2 (docs/lab/2026-11-cpu-speed.md).

    Args:
        node: Node of a convolution that it can compute, of lib.graph.graph, or of a deconvolution that doubles maps.
        in_shape, out_shape: of its input and output, (N, C, H, W).
    """
    stride, step = node.get('stride', (1, 1))[0], node.get('dilate', (1, 1))[0]
    _, filters, height, width = out_shape
    if node.op == 'Deconvolution':
        stride, filters, height, width = 1, 4 * filters, height // 2, width // 2
    depth = depth_of(in_shape[1], stride)
    tiles = sum(-(-_part(height, step, y) // TILE) * -(-_part(width, step, x) // TILE)
                for y in range(step)
                for x in range(step))
    products = _up(tiles, ROWS) * depth * _up(filters, PANEL)
    return POSITIONS * (products + 70 * tiles * (depth + filters) + 14 * depth * filters)


def _part(size, step, first):
    """How many of 0 .. size - 1 are `first` more than a multiple of `step`."""
    return max(0, -(-(size - first) // step))


def _up(number, multiple):
    return -(-number // multiple) * multiple
