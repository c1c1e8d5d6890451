"""Networks of DFF R-FCN; importing this package registers them."""
from dff_rfcn.symbols import resnet_v1_101_flownet_rfcn, resnet_v1_flownet_rfcn  # noqa: F401
