"""Reading XML of unknown origin."""
import contextlib
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from dff.errors import DataError


@contextlib.contextmanager
def _errors(path):
    try:
        yield
    except DefusedXmlException:
        raise DataError('%s is refused: entity definitions are not allowed' % path) from None
    except (ParseError, UnicodeDecodeError, LookupError, ValueError, RecursionError) as error:
        raise DataError('%s is not valid XML: %s' % (path, error)) from None
    except OSError as error:
        raise DataError('cannot read %s: %s' % (path, error.strerror)) from None


def parse(path):
    """The root element of an XML file. Raises DataError; entities are refused, not expanded."""
    with _errors(path):
        return ElementTree.parse(path, forbid_dtd=False).getroot()


def children(path, tags):
    """Yield, as they end, the elements of the file with one of `tags`, which are emptied afterwards. Raises as parse."""
    with _errors(path):
        stack = []
        for event, element in ElementTree.iterparse(path, events=('start', 'end'), forbid_dtd=False):
            if event == 'start':
                stack.append(element)
                continue
            stack.pop()
            if element.tag in tags:
                yield element
                element.clear()
                if stack:
                    stack[-1].remove(element)
