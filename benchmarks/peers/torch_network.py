"""R-FCN and DFF R-FCN in PyTorch, forward only, up to the score maps: what tools/benchmark.py
compares with. Needs no MXNet.
"""
import torch
from torch import nn
from torch.nn import functional

ENCODER = [('flow_conv1', 2), ('conv2', 2), ('conv3', 2), ('conv3_1', 1), ('conv4', 2),
           ('conv4_1', 1), ('conv5', 2), ('conv5_1', 1), ('conv6', 2), ('conv6_1', 1)]
DECODER = [('conv5_1', 6, 'Convolution1'), ('conv4_1', 5, 'Convolution2'),
           ('conv3_1', 4, 'Convolution3'), ('conv2', 3, 'Convolution4')]


class Parameters:
    """Layers from {name: array}."""

    def __init__(self, arrays):
        self._arrays = arrays

    def tensor(self, name):
        """Return the parameter `name`."""
        return torch.from_numpy(self._arrays[name])

    def __contains__(self, name):
        return name in self._arrays

    def conv(self, name, stride=1, dilation=1):
        """Return the convolution `name`, padded so that `stride` 1 keeps the size at any
        `dilation`.
        """
        weight = self.tensor(name + '_weight')
        biased = name + '_bias' in self
        filters, channels, kernel, _ = weight.shape
        layer = nn.Conv2d(channels, filters, kernel, stride, dilation * (kernel // 2), dilation, bias=biased)
        layer.weight.data = weight
        if biased:
            layer.bias.data = self.tensor(name + '_bias')
        return layer

    def deconv(self, name):
        """Return the 4x4 deconvolution `name`, which doubles the size."""
        weight = self.tensor(name + '_weight')
        layer = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, 2, 1)
        layer.weight.data, layer.bias.data = weight, self.tensor(name + '_bias')
        return layer

    def conv_bn(self, name, bn_name, stride=1, dilation=1):
        """Return a convolution and its normalisation.

        name and bn_name are theirs; see conv for `stride` and `dilation`.
        """
        norm = nn.BatchNorm2d(self.tensor(bn_name + '_gamma').shape[0], eps=1e-5)
        norm.weight.data, norm.bias.data = self.tensor(bn_name + '_gamma'), self.tensor(bn_name + '_beta')
        norm.running_mean = self.tensor(bn_name + '_moving_mean')
        norm.running_var = self.tensor(bn_name + '_moving_var')
        return nn.Sequential(self.conv(name, stride, dilation), norm)


class Unit(nn.Module):
    """A residual unit. unit: name, strides of its first two convolutions, dilation of the 3x3 ones."""

    def __init__(self, params, unit):
        super().__init__()
        name, first, second, dilation = unit
        layers = {
            branch: ('res%s_branch%s' % (name, branch), 'bn%s_branch%s' % (name, branch))
            for branch in ('1', '2a', '2b', '2c')
        }
        stride = first * second
        self.shortcut = nn.Identity()
        if layers['1'][0] + '_weight' in params:
            self.shortcut = params.conv_bn(*layers['1'], stride=stride)
        body = []
        for branch, step in (('2a', first), ('2b', second), ('2c', 1)):
            if layers[branch][0] + '_weight' in params:
                body += [params.conv_bn(*layers[branch], stride=step, dilation=dilation), nn.ReLU()]
        self.body = nn.Sequential(*body[:-1])

    def forward(self, data):
        """Return the map of the unit behind `data`."""
        return functional.relu(self.body(data) + self.shortcut(data))


class Heads(nn.Module):
    """The RPN's and R-FCN's 1x1 convolutions."""

    def __init__(self, params):
        super().__init__()
        self.rpn_cls, self.rpn_bbox, self.cls, self.bbox = (
            params.conv(name) for name in ('rpn_cls_score', 'rpn_bbox_pred', 'rfcn_cls', 'rfcn_bbox'))

    def forward(self, feature):
        """Return scores and deltas of the RPN, then of R-FCN, from `feature`."""
        rpn, rfcn = feature.split(feature.shape[1] // 2, dim=1)
        return self.rpn_cls(rpn), self.rpn_bbox(rpn), self.cls(rfcn), self.bbox(rfcn)


class KeyNetwork(nn.Module):
    """Image [1, 3, H, W] -> (feature, the four maps of Heads)."""

    def __init__(self, params, units):
        super().__init__()
        layers = [params.conv_bn('conv1', 'bn_conv1', 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        layers += [Unit(params, unit) for unit in units]
        self.body = nn.Sequential(*layers, params.conv('feat_conv_3x3', dilation=6), nn.ReLU())
        self.heads = Heads(params)

    def forward(self, data):
        """Return the feature and the maps of the image `data`."""
        feature = self.body(data)
        return (feature,) + self.heads(feature)


class CurrentNetwork(nn.Module):
    """Current image, key image [1, 3, H, W], key feature -> (feature, the four maps of Heads)."""

    def __init__(self, params):
        super().__init__()
        self.encoder = nn.ModuleDict({name: params.conv(name, stride) for name, stride in ENCODER})
        names = [predictor for _, _, predictor in DECODER] + ['Convolution5', 'Convolution5_scale']
        self.predict = nn.ModuleDict({name: params.conv(name) for name in names})
        names = [
            name for _, level, _ in DECODER
            for name in ('deconv%d' % (level - 1), 'upsample_flow%dto%d' % (level, level - 1))
        ]
        self.up = nn.ModuleDict({name: params.deconv(name) for name in names})
        self.heads = Heads(params)

    def forward(self, data, data_key, feat_key):
        """Return the feature and the maps of the image `data`, by those of the key frame.

        data_key is its image, feat_key its feature.
        """
        pair = torch.cat(
            [functional.avg_pool2d(image, 2, 2, ceil_mode=True) for image in (data, data_key)],
            dim=1) / 255
        features = {}
        for name, layer in self.encoder.items():
            pair = features[name] = functional.leaky_relu(layer(pair), 0.1)
        merged = features['conv6_1']
        for skip, level, predictor in DECODER:
            flow, (height, width) = self.predict[predictor](merged), features[skip].shape[2:]
            up = functional.leaky_relu(self.up['deconv%d' % (level - 1)](merged)[:, :, :height, :width], 0.1)
            up_flow = self.up['upsample_flow%dto%d' % (level, level - 1)](flow)[:, :, :height, :width]
            merged = torch.cat([features[skip], up, up_flow], dim=1)
        merged = functional.avg_pool2d(merged, 2, 2, ceil_mode=True)
        flow, scale = (self.predict[name](merged) for name in ('Convolution5', 'Convolution5_scale'))
        feature = _warp(feat_key, 2.5 * flow) * scale
        return (feature,) + self.heads(feature)


def _warp(feature, flow):
    height, width = feature.shape[2:]
    x = torch.arange(width, dtype=torch.float32)[None, None, :] + flow[:, 0]
    y = torch.arange(height, dtype=torch.float32)[None, :, None] + flow[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=3)
    return functional.grid_sample(feature, grid, mode='bilinear', padding_mode='zeros', align_corners=True)
