"""Loss of power: a small ext4 file system in a file, whose copies are what would be left of it."""
import os
import shutil
import subprocess

import pytest


class Image:
    """A file system in `folder`; folder/'disk' is where it is mounted."""

    def __init__(self, folder, megabytes=48):
        self.folder, self.place = folder, folder / 'disk'
        self._file = folder / 'image'
        if not shutil.which('mkfs.ext4'):
            pytest.skip('no file system can be made here: there is no mkfs.ext4 (Debian: e2fsprogs)')
        self._file.write_bytes(b'')
        os.truncate(str(self._file), megabytes << 20)
        subprocess.run(['mkfs.ext4', '-q', str(self._file)], check=True)
        mount(self._file, self.place)

    def after_power_loss(self, name):
        """Mount a copy of what has come to the disk so far; returns its place."""
        copy, place = self.folder / (name + '.image'), self.folder / name
        shutil.copyfile(str(self._file), str(copy))
        mount(copy, place)
        return place

    def remove(self):
        """Unmount all."""
        for place in self.folder.iterdir():
            if os.path.ismount(str(place)):
                subprocess.run(['umount', str(place)], check=True)


def mount(file, place):
    """Mount a file system; the test is skipped where that is not allowed."""
    place.mkdir()
    done = subprocess.run(['mount', '-o', 'loop', str(file), str(place)], stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode:
        pytest.skip('a file system cannot be mounted here (Linux and root are needed): %s' % done.stderr.strip())
