"""Reading XML of unknown origin."""
import contextlib
from typing import Iterator, List, Tuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from dff.errors import DataError


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except DefusedXmlException:
        raise DataError('%s is refused: entity definitions are not allowed' % path) from None
    except (ParseError, UnicodeDecodeError, LookupError, ValueError, RecursionError) as error:
        raise DataError('%s is not valid XML: %s' % (path, error)) from None
    except OSError as error:
        raise DataError('cannot read %s: %s' % (path, error.strerror)) from None


def parse(path: str) -> Element:
    """Return the root element of an XML file.

    Raises DataError where it cannot be read or is not valid; entities are refused, not expanded.
    """
    with _errors(path):
        return ElementTree.parse(path, forbid_dtd=False).getroot()


def children(path: str, tags: Tuple[str, ...]) -> Iterator[Element]:
    """Yield, as they end, the elements of the file `path` with one of `tags`; empty them then.

    Raises as parse.
    """
    with _errors(path):
        stack: List[Element] = []
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
