"""Flow-Guided Feature Aggregation with R-FCN, with ResNet-v1-101 and the full FlowNet, as the original."""
from fgfa_rfcn.symbols.resnet_v1_fgfa_rfcn import resnet_v1_fgfa_rfcn
from lib.symbols.registry import SYMBOLS


# The original's class has the name of DFF's; settings of this task may call it that, too (fgfa_rfcn/task.py).
@SYMBOLS.register('resnet_v1_101_fgfa_rfcn')
class resnet_v1_101_flownet_rfcn(resnet_v1_fgfa_rfcn):
    """FGFA R-FCN whose parameter names and shapes are those of the original's checkpoints."""

    depth = 101
