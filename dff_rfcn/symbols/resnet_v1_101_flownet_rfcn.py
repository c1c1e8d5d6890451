"""Deep Feature Flow with R-FCN, with ResNet-v1-101 and the full FlowNet, as the original."""
from dff_rfcn.symbols.resnet_v1_flownet_rfcn import resnet_v1_flownet_rfcn
from lib.symbols.registry import register


@register
class resnet_v1_101_flownet_rfcn(resnet_v1_flownet_rfcn):
    """DFF R-FCN whose parameter names and shapes are those of the original's checkpoints."""

    depth = 101
