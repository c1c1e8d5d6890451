"""Reading XML of unknown origin."""
import contextlib
import io
import os
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from lib.dataset.formats.xml_text import EntityError, XMLError, parse_xml, read_decoded
from lib.dataset.importers.paths import files_below
from dff.errors import DataError

FIRST = 20       # files of a data set that are looked at to recognise it


@contextlib.contextmanager
def _errors(path):
    try:
        yield
    except (DefusedXmlException, EntityError):
        raise DataError('%s is refused: entity definitions are not allowed' % path) from None
    except ParseError as error:
        raise DataError('%s is not valid XML: %s' % (path, _reason(path, error))) from None
    except (UnicodeDecodeError, LookupError, ValueError, RecursionError) as error:
        raise DataError('%s is not valid XML: %s' % (path, error)) from None
    except OSError as error:
        raise DataError('cannot read %s: %s' % (path, error.strerror)) from None


def _reason(path, error):
    """What is wrong with a file: its encoding, or what the parser said, `error`."""
    try:
        read_decoded(path, error)
    except XMLError as reason:
        return reason
    return error


def parse(path):
    """The root element of an XML file. Raises DataError; entities are refused, not expanded."""
    with _errors(path):
        return parse_xml(path)


def candidates(src):
    """The paths of the first XML files of a data set, a file or a folder, to recognise it by."""
    if os.path.isfile(src):
        return [src] if src.lower().endswith('.xml') else []
    return [os.path.join(src, file) for file in files_below(src, ('.xml',))[:FIRST]]


def root_tag(path):
    """The name of the outermost element of an XML file; of what follows nothing is read. Raises as
    parse.
    """
    with _errors(path):
        events = ElementTree.iterparse(_readable(path), events=('start',), forbid_dtd=False)
        return next((element.tag for _, element in events), None)


def file_with(src, wanted, mode):
    """The first XML file of the data set `src` with the root <annotations> whose first <track> or
    <image> is `wanted`, or None. Raises as parse.

    mode: what <mode> of a task without labels says, where no file has any.
    """
    files = [file for file in candidates(src) if root_tag(file) == 'annotations']
    firsts = [next((each.tag for each in children(file, ('track', 'image'))), None) for file in files]
    if any(firsts):
        return next((file for file, first in zip(files, firsts) if first == wanted), None)
    return next((file for file in files
                 if any((each.text or '').strip() == mode for each in children(file, ('mode',)))), None)


def children(path, tags):
    """Yield, as they end, the elements of the file with one of `tags`, which are emptied
    afterwards. Raises as parse.
    """
    with _errors(path):
        for element, parent in _ends(_readable(path)):
            if element.tag in tags:
                yield element
                element.clear()
                if parent is not None:
                    parent.remove(element)


def _readable(path):
    """What iterparse takes: the path, or, where the parser does not know the file's encoding, a
    stream of UTF-8."""
    with open(path, 'rb') as stream:
        try:
            next(ElementTree.iterparse(stream, events=('start',), forbid_dtd=False), None)
            return path
        except DefusedXmlException:
            raise
        except (ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
            return io.BytesIO(read_decoded(path, error).encode('utf-8', 'replace'))


def _ends(source):
    """(element, its parent or None) as they end."""
    stack = []
    for event, element in ElementTree.iterparse(source, events=('start', 'end'), forbid_dtd=False):
        if event == 'start':
            stack.append(element)
        else:
            stack.pop()
            yield element, stack[-1] if stack else None
