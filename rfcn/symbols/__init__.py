"""Networks of the frame baseline; importing this package registers them."""
from rfcn.symbols import resnet_v1_101_rfcn, resnet_v1_rfcn  # noqa: F401
