"""ResNet-v1 (He et al., arXiv 1512.03385, the Caffe release), with stage 5 dilated so that the stride stays 16."""
import mxnet as mx

from dff.errors import ConfigError
from lib.symbols.registry import BACKBONES
from lib.symbols.widths import channels

# depth: (units of stages 2 to 5, bottleneck blocks)
STAGES = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False),
          50: ((3, 4, 6, 3), True), 101: ((3, 4, 23, 3), True), 152: ((3, 8, 36, 3), True)}
BN_EPS = 1e-5


def resnet_v1(data, depth=101, width=1.0, global_stats=True, stride_in_3x3=False, pool_pad=1,
              stem_width=0.0, eps=BN_EPS):
    """Return the feature map `res5c_relu` of images [N, 3, H, W]: [N, C, H/16, W/16], C = 2048
    (512 below depth 50) * width.

    Args:
        data: symbol of the mean-subtracted RGB images.
        depth: 18, 34, 50, 101 or 152; others raise ConfigError.
        width: factor on the number of channels of every layer.
        global_stats: batch normalisation uses the stored statistics in training too, else it learns them.
        stride_in_3x3: bottleneck units halve the size in their 3x3 convolution, as torchvision's
            weights expect, and not in their first 1x1 convolution.
        pool_pad: padding of pool1; with 0 its size is rounded up instead, as in the Caffe release.
        stem_width: factor on the number of channels of conv1; 0: `width`.
        eps: what batch normalisation adds to a variance.
    """
    stages, bottleneck = _layout(depth)
    base = channels(64, width, 'network.width')
    stem = channels(64, stem_width or width, 'network.stem_width' if stem_width else 'network.width')

    norm = {'eps': eps, 'use_global_stats': global_stats}
    body = _conv_bn(data, 'conv1', 'bn_conv1', stem, 7, norm, stride=2)
    body = mx.sym.Activation(body, act_type='relu', name='conv1_relu')
    body = mx.sym.Pooling(body, pool_type='max', kernel=(3, 3), stride=(2, 2), pad=(pool_pad, pool_pad),
                         pooling_convention='valid' if pool_pad else 'full', name='pool1')
    filters_in = stem
    for stage, units in enumerate(stages, start=2):
        filters = base * 2 ** (stage - 2)
        for index in range(units):
            unit = '%d%s' % (stage, unit_name(depth, stage, index))
            stride = 2 if index == 0 and stage in (3, 4) else 1
            body = _unit(body, unit, filters, filters_in, stride, 2 if stage == 5 else 1,
                         bottleneck, norm, stride_in_3x3)
            filters_in = filters * (4 if bottleneck else 1)
    return body


@BACKBONES.register('resnet_v1')
class ResNetV1:
    """The backbone that network.backbone resnet_v1 names.

    network.depth, width, stem_width, STRIDE_IN_3X3 and BN_EPS set its form.

    A backbone of your own has the same three methods.

    Args:
        network: the config's section of that name.

    Raises ConfigError for a depth or width that does not exist.
    """

    def __init__(self, network):
        self.network = network

    def feature(self, data, global_stats=True, pool_pad=1):
        """Return the feature map [N, channels(), H/16, W/16] of `data`, mean-subtracted RGB images [N, 3, H, W].

        global_stats: batch normalisation uses stored statistics in training too; pool_pad: padding
        of the first pooling.
        """
        return resnet_v1(data, self.network.depth, self.network.width, global_stats,
                         self.network.STRIDE_IN_3X3, pool_pad, self.network.stem_width,
                         self.network.get('BN_EPS', BN_EPS))

    def layer_of_stride_8(self):
        """Return the layer inside `feature` whose output is [N, ..., H/8, W/8], which FEATURE_STRIDE 8 adds to it."""
        units, _ = _layout(self.network.depth)
        return 'res3%s_relu' % unit_name(self.network.depth, 3, units[1] - 1)

    def channels(self):
        """Return how many channels the feature map has."""
        _, bottleneck = _layout(self.network.depth)
        return channels(2048 if bottleneck else 512, self.network.width, 'network.width')


def _layout(depth):
    """(units of stages 2 to 5, bottleneck blocks) of a network of `depth`."""
    if depth not in STAGES:
        raise ConfigError('network.depth is %s; ResNet-v1 exists in depths %s'
                          % (depth, ', '.join(map(str, sorted(STAGES)))))
    return STAGES[depth]


def unit_name(depth, stage, index):
    """Return what the Caffe release calls unit `index`, from 0, of `stage` in a ResNet of `depth`.

    a, b, c, ... or, in the long stages of ResNet-101 and 152, a, b1, b2, ...
    """
    if index and depth > 50 and stage in (3, 4):
        return 'b%d' % index
    return 'abcdef'[index]


def _unit(data, unit, filters, filters_in, stride, dilation, bottleneck, norm, stride_in_3x3):
    """One residual unit. The stride is in its first convolution (or the 3x3 one), the dilation in the 3x3 ones."""
    if bottleneck:
        steps = (1, stride) if stride_in_3x3 else (stride, 1)
        branches = [('2a', filters, 1, steps[0]), ('2b', filters, 3, steps[1]), ('2c', 4 * filters, 1, 1)]
    else:
        branches = [('2a', filters, 3, stride), ('2b', filters, 3, 1)]
    shortcut = data
    filters_out = branches[-1][1]
    if stride > 1 or filters_in != filters_out:
        shortcut = _conv_bn(data, 'res%s_branch1' % unit, 'bn%s_branch1' % unit, filters_out, 1, norm, stride)
    body = data
    for branch, count, kernel, step in branches:
        name = '%s_branch%s' % (unit, branch)
        body = _conv_bn(body, 'res' + name, 'bn' + name, count, kernel, norm, step, dilation)
        if branch != branches[-1][0]:
            body = mx.sym.Activation(body, act_type='relu', name='res%s_relu' % name)
    body = mx.sym.elemwise_add(shortcut, body, name='res' + unit)
    return mx.sym.Activation(body, act_type='relu', name='res%s_relu' % unit)


def _conv_bn(data, name, bn_name, filters, kernel, norm, stride=1, dilation=1):
    """Convolution without bias that keeps the size (stride apart), then batch normalisation as `norm` says."""
    dilation = dilation if kernel > 1 else 1
    body = mx.sym.Convolution(data, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride), no_bias=True,
                              dilate=(dilation, dilation), pad=(dilation * (kernel // 2),) * 2, name=name)
    return mx.sym.BatchNorm(body, fix_gamma=False, name=bn_name, **norm)
