"""DeepLab on every frame, with ResNet-v1-101, as the original."""
from deeplab.symbols.resnet_v1_deeplab import resnet_v1_deeplab
from lib.symbols.registry import register


@register
class resnet_v1_101_deeplab(resnet_v1_deeplab):
    """DeepLab whose parameter names and shapes are those of the original's checkpoints.

    Its pool1 is that of the Caffe release, where all other networks pad by 1, as in the original.
    """

    depth = 101
    pool_pad = 0
