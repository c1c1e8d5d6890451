"""Finding the images and videos that annotations name: by the last parts of the names, inside the
data set only.
"""
import os
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote

from lib.dataset.importers.media import (IMAGE_SUFFIXES, VIDEO_SUFFIXES, Images, Media, Video,
                                         find_clip, images_in, without_video_suffix)
from lib.dataset.importers.model import Report
from lib.dataset.importers.paths import files_below, owner, parts_of, same_letters
from dff.errors import DataError, shown

_Rank = Tuple[int, bool, bool, bool]


class _File(NamedTuple):
    """A file, or a folder of images."""

    path: str
    folders: List[str]         # below the root, as they are compared
    owner: Tuple[str, ...]     # as paths.owner
    name: str                  # with extension, as it is spelled


class Files:
    """The files of some kind below some folders, found by names of any origin."""

    def __init__(self, roots: Sequence[str], suffixes: Tuple[str, ...]) -> None:
        """Look below `roots`, once something is asked for, for files that end in one of
        `suffixes`.

        Attribute: without, which may be set before, says of a path below a root that it is none of
        them.
        """
        self.roots, self.suffixes = roots, suffixes
        self.without: Callable[[str], bool] = lambda file: False
        self._by_stem: Optional[Dict[str, List[_File]]] = None

    def paths(self) -> List[str]:
        """Return the paths of all files, in order."""
        return sorted({file.path for files in self._index().values() for file in files})

    def _index(self) -> Dict[str, List[_File]]:
        if self._by_stem is None:
            self._by_stem = {}
            for root in self.roots:
                for file in files_below(root, self.suffixes):
                    if self.without(file):
                        continue
                    *folders, name = file.split('/')
                    found = _File(os.path.join(root, file), list(map(same_letters, folders)),
                                  owner(folders), name)
                    key = same_letters(os.path.splitext(name)[0])
                    self._by_stem.setdefault(key, []).append(found)
        return self._by_stem

    def find(self, name: object, where: str) -> Optional[str]:
        """Return the path of the file that `name` means, or None.

        Its own name must be the same but for case and the way accents and spaces are written; an
        extension counts where `name` has one of these files. The folders must not contradict it:
        without words such as images, those of one must be the last of the other's.

        Args:
            name: a path, with or without extension, absolute or not, of whatever machine.
            where: what gives the name, for messages.

        Raises:
            DataError: several files answer to it equally well, or it is no name.
        """
        for text in dict.fromkeys((str(name), unquote(str(name)))):
            *folders, own = parts_of(text, where)
            stem, suffix = os.path.splitext(own)
            known = suffix.lower() in self.suffixes
            candidates = self._index().get(same_letters(stem if known else own), [])
            if known:
                candidates = [file for file in candidates if _kind(file.name) == _kind(own)]
            what = '%s: the file name %s' % (where, shown(name))
            path = self._best(candidates, folders, own, what)
            if path:
                return path
        return None

    @staticmethod
    def _best(candidates: Iterable[_File], folders: List[str], own: str,
              what: str) -> Optional[str]:
        spelled, whose = list(map(same_letters, folders)), owner(folders)
        ranked: Dict[_Rank, List[str]] = {}
        for file in candidates:
            length = min(len(whose), len(file.owner))
            if length and whose[-length:] != file.owner[-length:]:
                continue
            shared = 0
            for a, b in zip(reversed(spelled), reversed(file.folders)):
                if a != b:
                    break
                shared += 1
            rank = shared, whose == file.owner, spelled == file.folders, file.name.startswith(own)
            ranked.setdefault(rank, []).append(file.path)
        # A file may be found below two roots, one inside the other.
        best = list({os.path.realpath(path): path
                     for path in sorted(ranked[max(ranked)])}.values()) if ranked else []
        if len(best) > 1:
            raise DataError(
                '%s fits several files: %s; give the folders that belong together one name, or '
                'take the others away' % (what, ', '.join(best[:3]) + ', ...' * (len(best) > 3)))
        return best[0] if best else None


def _kind(name: str) -> str:
    """The extension of a file, as it is compared."""
    suffix = os.path.splitext(name)[1].lower()
    return {'.jpeg': '.jpg', '.tiff': '.tif'}.get(suffix, suffix)


class Library:
    """The images, the videos and the folders of images of a data set."""

    def __init__(self, roots: Sequence[str]) -> None:
        """Look below the folders `roots`, in this order."""
        self.roots = list(dict.fromkeys(roots))
        self.images = Files(self.roots, IMAGE_SUFFIXES)
        self.videos = Files(self.roots, VIDEO_SUFFIXES)
        self._image_folders: Optional[Dict[str, Tuple[str, ...]]] = None

    def clip(self, names: Sequence[str], places: Sequence[str], where: str) -> Optional[Media]:
        """Return the frames that belong to annotations: a video or a folder of images, or None.

        Args:
            names: of the clip, as the annotations give it, the best first.
            places: folders to look at first, whose clips are found under the plain names.
            where: the annotations, for messages.

        Raises:
            DataError: several answer equally well, or the video cannot be opened.
        """
        plain = ['/'.join(parts_of(name, where)) if name != '.' else '.' for name in names]
        media = find_clip(plain, places)
        for name in plain if media is None else ():
            video = self.videos.find(name, where) if name != '.' else None
            if video:
                return Video(video)
            whose = owner(without_video_suffix(name).split('/'))
            folders = [folder for folder, own in self._folders() if _answers(own, whose)]
            if len(folders) > 1:
                raise DataError(
                    '%s: frames of %s may be in %s: give the folder the name of the annotations, '
                    'or take the others away' % (where, name, ', '.join(folders[:3])))
            if folders:
                return Images(images_in(folders[0]))
        return media

    def only_clip(self, where: str, report: Report) -> Optional[Media]:
        """Return the one video, or the one folder of images, that there is for the annotations
        `where`, and have `report` say so; None where there are several, or none.
        """
        videos = self.videos.paths()
        folders = [folder for folder, _ in self._folders()]
        if len(videos) + len(folders) != 1:
            return None
        found = (videos + folders)[0]
        report.assume('%s belongs to %s, the only video or folder of images there is'
                      % (where, found))
        return Video(found) if videos else Images(images_in(found))

    def _folders(self) -> List[Tuple[str, Tuple[str, ...]]]:
        """(folder, its owner) of the folders that hold images."""
        if self._image_folders is None:
            self._image_folders = {}
            for root in self.roots:
                for file in files_below(root, IMAGE_SUFFIXES):
                    if self.images.without(file):
                        continue
                    folder = os.path.dirname(file)
                    self._image_folders.setdefault(os.path.join(root, folder),
                                                   owner(folder.split('/')))
        return list(self._image_folders.items())


def _answers(own: Tuple[str, ...], whose: Tuple[str, ...]) -> bool:
    """Whether a folder of the owner `own` holds the frames of `whose`: one ends with the other."""
    length = min(len(own), len(whose))
    return length > 0 and own[-length:] == whose[-length:]
