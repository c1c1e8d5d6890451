"""R-FCN on every frame, with ResNet-v1-101, as the original."""
from lib.symbols.registry import register
from rfcn.symbols.resnet_v1_rfcn import resnet_v1_rfcn


@register
class resnet_v1_101_rfcn(resnet_v1_rfcn):
    """R-FCN whose parameter names and shapes are those of the original's checkpoints."""

    depth = 101
