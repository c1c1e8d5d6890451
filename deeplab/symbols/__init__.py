"""Networks of the frame baseline; importing this package registers them."""
from deeplab.symbols import resnet_v1_101_deeplab, resnet_v1_deeplab  # noqa: F401
