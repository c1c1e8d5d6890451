"""Networks of DFF-DeepLab; importing this package registers them."""
from dff_deeplab.symbols import resnet_v1_101_flownet_deeplab, resnet_v1_flownet_deeplab  # noqa: F401
