"""Conversions of what follows motion: features fetched along a flow, and comparisons of shifted
maps.
"""

from lib.onnx_export.converter import converts, unsupported


@converts('GridGenerator')
def flow_grid(build, node, inputs):
    """Return where each cell of a map fetches from, [N, h, w, 2]; build, node, inputs: see
    converter.py.

    Cell x lies at (2 x + 1) / w - 1, which is GridSample with align_corners=0: the form that
    runtimes have fast code for.
    MXNet's own numbers, 2 x / (w - 1) - 1, mean the same places.
    """
    if node.get('transform_type') != 'warp':
        raise unsupported(node, 'transform_type %s' % node.get('transform_type'))
    return grid_of(build, inputs[0])


def grid_of(build, flow):
    """Return the same for the value `flow`, [N, 2, h, w] in cells; build: the Builder."""
    places = []
    for channel, axis, shape in ((0, 3, [1, 1, 1, -1]), (1, 2, [1, 1, -1, 1])):
        cells = build.op('Reshape', build.count(build.size(flow, axis)), shape)
        moved = build.op('Add', build.part(flow, 1, channel, channel + 1), cells)
        twice = build.op('Add', build.op('Mul', moved, 2.0), 1.0)
        places.append(build.op('Sub', build.op('Div', twice, build.length(flow, axis)), 1.0))
    return build.op('Transpose', build.op('Concat', *places, axis=1), perm=[0, 2, 3, 1])


@converts('BilinearSampler')
def bilinear_sampler(build, node, inputs):
    """Return GridSample; build, node, inputs: see converter.py."""
    if node.input(1).op != 'GridGenerator':
        raise unsupported(node, 'a grid of %s' % node.input(1).op)
    return fetch(build, *inputs)


def fetch(build, maps, grid):
    """Return `maps` at the places `grid`, of `grid_of`; build: the Builder."""
    return build.op('GridSample', maps, grid, mode='bilinear', padding_mode='zeros', align_corners=0)


@converts('Correlation')
def correlation(build, node, inputs):
    """Return the mean product of each cell with those around it; build, node, inputs: see
    converter.py.
    """
    reach = node.get('max_displacement', 1)
    others = {
        key: node.get(key, default)
        for key, default in (('kernel_size', 1), ('stride1', 1), ('stride2', 1))
    }
    if (
        set(others.values()) != {1}
        or node.get('pad_size', 0) != reach
        or not node.get('is_multiply', True)
    ):
        raise unsupported(
            node, 'other settings than single cells, compared at every distance up to pad_size'
        )
    current, reference = inputs
    around = build.op('Pad', reference, [0, 0, reach, reach] * 2)
    ends = [
        build.op('Add', build.size(current, axis), step)
        for step in range(2 * reach + 1)
        for axis in (2, 3)
    ]
    matches = []
    for down in range(2 * reach + 1):
        rows = build.op('Slice', around, [down], ends[2 * down], [2])
        for right in range(2 * reach + 1):
            shifted = build.op('Slice', rows, [right], ends[2 * right + 1], [3])
            matches.append(
                build.op('ReduceMean', build.op('Mul', current, shifted), axes=[1], keepdims=1)
            )
    return build.op('Concat', *matches, axis=1)
