"""Online hard example mining (Shrivastava et al., arXiv 1604.03540; R-FCN, arXiv 1605.06409, section 2)."""
import mxnet as mx

from lib.operator_cxx import loader
from lib.symbols.arithmetic import rank, smooth_l1


def mine_hard(score, bbox_pred, label, bbox_target, bbox_weight, images, keep):
    """Labels and box weights in which only the RoIs of highest loss count.

    Args:
        score: [B * n, C], class scores before the softmax; bbox_pred, bbox_target, bbox_weight [B * n, 4K].
        label: [B * n], -1 for RoIs that never count.
        images: B; each keeps its own `keep` RoIs.

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
