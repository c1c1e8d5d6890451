"""Deep Feature Flow with DeepLab, with ResNet-v1-101 and the full FlowNet, as the original."""
from dff_deeplab.symbols.resnet_v1_flownet_deeplab import resnet_v1_flownet_deeplab
from lib.symbols.registry import register


@register
class resnet_v1_101_flownet_deeplab(resnet_v1_flownet_deeplab):
    """DFF-DeepLab whose parameter names and shapes are those of the original's checkpoints."""

    depth = 101
