"""The operators that DFF adds to a network, each in one place: which implementation runs is decided here (of the
aggregation of frames in lib/symbols/aggregation.py).

The native ones (lib/operator_cxx) where they are built and fit, else MXNet's own with the same results.
"""
import mxnet as mx

from lib.operator_cxx import loader
from lib.symbols.arithmetic import rank, smooth_l1


def differentiable(symbol):
    """`symbol` as the input of a native operator.

    MXNet does not tell a native operator whether to write or to add its gradient, so it always writes. That is wrong
    for a variable bound with grad_req='add'; a copy in between does the adding. (Gradients of inner tensors are summed
    apart, see MXNET_EXEC_INPLACE_GRAD_SUM_CAP in lib/utils/mxnet_import.py.)
    """
    return mx.sym.identity(symbol) if symbol.get_children() is None else symbol


def flow_warp(feature, flow, scale=None, name='warping_feat', shared=False):
    """Return features fetched along a flow: feature(x + flow_x, y + flow_y) * scale(x, y).

    Bilinear, zero outside the map (Deep Feature Flow, arXiv 1611.07715, eq. 3 and section 3).

    Args:
        feature: [N, C, h, w], or [1, C, h, w] with `shared`.
        flow: [N, 2, h, w] in pixels of this map, x first.
        scale: [N, C, h, w] or None.
        name: of the layer.
        shared: one feature map serves every flow.

    Returns:
        [N, C, h, w]
    """
    if loader.load():
        inputs = [differentiable(symbol) for symbol in (feature, flow, scale) if symbol is not None]
        return mx.sym.DFFFlowWarp(*inputs, has_scale=int(scale is not None), name=name)
    if shared:
        feature = mx.sym.broadcast_like(feature, flow, lhs_axes=(0,), rhs_axes=(0,), name='feature_tile')
    grid = mx.sym.GridGenerator(flow, transform_type='warp', name='flow_grid')
    warped = mx.sym.BilinearSampler(feature, grid, name=name)
    return warped if scale is None else warped * scale


def correlation(current, reference, max_displacement, name='corr'):
    """Return how well every cell of one feature map matches the cells around it in another.

    FlowNet, arXiv 1504.06852, eq. 1, one cell at a time.

    Args:
        current, reference: [N, C, h, w].
        max_displacement: D, cells along each axis, 0 or more.
        name: of the layer.

    Returns:
        [N, (2D + 1)^2, h, w]: the mean over the channels of
        current(y, x) * reference(y + dy, x + dx), 0 outside the map; dy, then dx, from -D to D.
    """
    if loader.load():
        return mx.sym.DFFCorrelation(differentiable(current), differentiable(reference),
                                     max_displacement=max_displacement, name=name)
    return mx.sym.Correlation(current, reference, kernel_size=1, max_displacement=max_displacement,
                              stride1=1, stride2=1, pad_size=max_displacement, is_multiply=True,
                              name=name)


def psroi_pooling(data, rois, spatial_scale, output_dim, pooled_size, group_size, name):
    """Return position-sensitive RoI pooling (R-FCN, arXiv 1605.06409, eq. 1).

    Args:
        data: score maps [N, output_dim * group_size^2, h, w].
        rois: [R, 5], rows of image index and x1 y1 x2 y2 in image pixels.
        spatial_scale: map pixels for one image pixel.
        output_dim: channels of the result: classes, or box coordinates.
        pooled_size: bins along each axis of a RoI.
        group_size: groups of score maps along each axis.
        name: of the layer.

    Returns:
        [R, output_dim, pooled_size, pooled_size]
    """
    settings = dict(spatial_scale=spatial_scale, output_dim=output_dim, pooled_size=pooled_size, group_size=group_size)
    if loader.load():
        return mx.sym.DFFPSROIPooling(differentiable(data), differentiable(rois), name=name, **settings)
    return mx.sym.contrib.PSROIPooling(data, rois, name=name, **settings)


def proposal(cls_prob, bbox_pred, im_info, batch_images, feature_stride, scales, ratios, rpn_pre_nms_top_n,
             rpn_post_nms_top_n, threshold, rpn_min_size, name):
    """Return region proposals of every image of a batch; passes no gradient.

    Args:
        cls_prob: [N, 2A, h, w], the A foreground probabilities last.
        bbox_pred: [N, 4A, h, w], box deltas.
        im_info: [N, 3], height, width, scale.
        batch_images: N.
        feature_stride: image pixels for one map pixel.
        scales, ratios: of the A anchors: sides in units of feature_stride, and height over width.
        rpn_pre_nms_top_n: boxes of highest probability that NMS gets, of each image.
        rpn_post_nms_top_n: boxes that it gives.
        threshold: IoU above which NMS drops a box.
        rpn_min_size: shortest side of a box in pixels of the unscaled image.
        name: of the layer.

    Returns:
        [N * rpn_post_nms_top_n, 5]: image index, x1 y1 x2 y2; padded with an image's own boxes
        where NMS leaves fewer.
    """
    settings = dict(feature_stride=feature_stride, scales=tuple(scales), ratios=tuple(ratios),
                    threshold=threshold, rpn_pre_nms_top_n=rpn_pre_nms_top_n,
                    rpn_post_nms_top_n=rpn_post_nms_top_n, rpn_min_size=rpn_min_size)
    if loader.load():
        rois = mx.sym.DFFProposal(cls_prob, bbox_pred, im_info, name=name + '_native', **settings)
        return mx.sym.BlockGrad(rois, name=name)
    inputs = [mx.sym.BlockGrad(cls_prob), mx.sym.BlockGrad(bbox_pred), im_info]
    if batch_images == 1:
        return mx.sym.contrib.Proposal(*inputs, name=name, **settings)
    # One Proposal an image: MultiProposal gives other boxes at every run on the CPU.
    images = []
    for index in range(batch_images):
        image = [mx.sym.slice_axis(value, axis=0, begin=index, end=index + 1) for value in inputs]
        rois = mx.sym.contrib.Proposal(*image, name='%s_image%d' % (name, index), **settings)
        images.append(mx.sym.Concat(mx.sym.full((rpn_post_nms_top_n, 1), index),
                                    mx.sym.slice_axis(rois, axis=1, begin=1, end=5), dim=1))
    return mx.sym.Concat(*images, dim=0, name=name)


def class_map(score, rows, columns, name='class_map'):
    """Return the class of highest score at the pixels of an image; passes no gradient.

    The scores are interpolated bilinearly.

    Args:
        score: [1, C, h, w], C at most 255.
        rows, columns: [H] and [W], where the rows and columns of the image lie in `score`, in its
            cells; moved into the map where they lie outside.
        name: of the layer.

    Returns:
        uint8 [1, H, W]; of equal scores the lower class.
    """
    if loader.load():
        return mx.sym.DFFClassMap(score, rows, columns, name=name)
    size = mx.sym.cast(mx.sym.shape_array(score), dtype='float32')
    grid = []
    for axis, places, shape in ((3, columns, (1, -1)), (2, rows, (-1, 1))):
        last = mx.sym.maximum(mx.sym.slice_axis(size, axis=0, begin=axis, end=axis + 1) - 1, 1)
        grid.append(
            mx.sym.reshape(
                mx.sym.clip(mx.sym.broadcast_div(places, last) * 2 - 1, a_min=-1, a_max=1),
                shape=shape))
    x, y = grid
    grid = mx.sym.stack(mx.sym.broadcast_add(x, y * 0), mx.sym.broadcast_add(x * 0, y), axis=0)
    sampled = mx.sym.BilinearSampler(score, mx.sym.expand_dims(grid, axis=0))
    return mx.sym.cast(mx.sym.argmax(sampled, axis=1), dtype='uint8', name=name)


def image_pair(current, reference, factor, shared=False, again=False):
    """Two sets of images at half their size, stacked along the channels and multiplied by
    `factor`. It passes no gradient.

    Args:
        current: [N, C, H, W].
        reference: the same, or [1, C, H, W] with `shared`.
        again: halve them a second time.

    Returns:
        [N, 2C, ceil(H / 2), ceil(W / 2)], means of 2x2 pixels, current first; of a quarter of the sides with `again`.
    """
    pair = _native_pair if loader.load() else _composed_pair
    pair = mx.sym.BlockGrad(pair(current, reference, factor, shared), name='image_pair')
    return _halved(pair) if again else pair


def _native_pair(current, reference, factor, _):
    return mx.sym.DFFImagePair(current, reference, factor=factor)


def _composed_pair(current, reference, factor, shared):
    current, reference = _halved(current), _halved(reference)
    if shared:
        reference = mx.sym.broadcast_like(reference, current, lhs_axes=(0,), rhs_axes=(0,), name='reference_tile')
    # Stacked, not concatenated: the same values several times faster.
    return mx.sym.Reshape(mx.sym.stack(current, reference, axis=1), shape=(0, -3, 0, 0)) * factor


def _halved(image):
    """2x2 average pooling, the size rounded up.

    As the sum over an image with its last row and column repeated: oneDNN averages plain layouts five times slower.
    """
    padded = mx.sym.Pad(image, mode='edge', pad_width=(0, 0, 0, 0, 0, 1, 0, 1))
    return mx.sym.Pooling(padded, pool_type='sum', kernel=(2, 2), stride=(2, 2)) * 0.25


def mine_hard(score, bbox_pred, label, bbox_target, bbox_weight, images, keep):
    """Return labels and box weights in which only the RoIs of highest loss count: online hard example mining.

    (Shrivastava et al., arXiv 1604.03540; R-FCN, arXiv 1605.06409, section 2.)

    Args:
        score: [B * n, C], class scores before the softmax; bbox_pred, bbox_target, bbox_weight [B * n, 4K].
        label: [B * n], -1 for RoIs that never count.
        images: B.
        keep: how many RoIs of each image count.

    Returns:
        (label [B * n], -1 where dropped; bbox_weight [B * n, 4K], 0 where dropped)
    """
    if loader.load():
        hard = mx.sym.DFFHardExamples(score, bbox_pred, label, bbox_target, bbox_weight,
                                      images=images, keep=keep, name='ohem_native')
        return tuple(
            mx.sym.BlockGrad(output, name=name)
            for output, name in zip(hard, ('label_ohem', 'bbox_weight_ohem')))
    score, bbox_pred = mx.sym.BlockGrad(score), mx.sym.BlockGrad(bbox_pred)
    loss = mx.sym.sum(smooth_l1(bbox_pred, bbox_target, bbox_weight, 1.0), axis=1)
    loss = loss - mx.sym.pick(mx.sym.log_softmax(score, axis=1), mx.sym.maximum(label, 0), axis=1)
    loss = mx.sym.where(label < 0, mx.sym.zeros_like(loss) - 1, loss)
    hard = mx.sym.Reshape(rank(mx.sym.Reshape(loss, shape=(images, -1))) < keep, shape=(-1,))
    label = mx.sym.where(hard, label, mx.sym.zeros_like(label) - 1, name='label_ohem')
    return label, mx.sym.broadcast_mul(bbox_weight, mx.sym.expand_dims(hard, axis=1), name='bbox_weight_ohem')
