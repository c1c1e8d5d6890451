"""XML files of unknown origin: parsed without expanding entities, whatever encoding they are
in."""

import codecs
import io
import re
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from dff.files import require_regular

_DECLARATION = re.compile(r'^\s*<\?xml[^>]*\?>')
_ENCODING = re.compile(rb'^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["\']([A-Za-z0-9._:-]{1,40})["\']')
_WIDE = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)

_WIDER = {
    'gb2312': 'gb18030',
    'gbk': 'gb18030',
}  # files often hold characters that only the larger set has


class XMLError(ValueError):
    """A file is no XML that can be read; the text says why."""


class EntityError(XMLError):
    """The XML defines entities, which are not expanded."""


def parse_xml(path: str) -> Any:
    """Return the root element of the XML file at `path`.

    Raises XMLError, and OSError where it cannot be read.
    """
    require_regular(path)
    try:
        # Not expanding entities keeps a hostile file from filling the memory.
        return ElementTree.parse(path, forbid_dtd=False).getroot()
    except DefusedXmlException:
        raise EntityError('entity definitions are not allowed') from None
    except (ParseError, UnicodeDecodeError, LookupError, ValueError, RecursionError) as error:
        text = read_decoded(path, error)
    try:
        return ElementTree.fromstring(text, forbid_dtd=False)
    except DefusedXmlException:
        raise EntityError('entity definitions are not allowed') from None
    except (ParseError, ValueError, RecursionError) as error:
        raise XMLError(str(error)) from None


def read_decoded(path: str, error: Exception) -> str:
    """Return the text of an XML file in an encoding that the parser does not know, without its
    declaration.

    path: of the file. error: what the parser said of it; raised as an XMLError where decoding
    would not help, with what
    to do where the encoding is the reason.
    """
    with open(path, 'rb') as stream:
        data = stream.read()
    declared = _ENCODING.match(data)
    encoding = next(
        (name for mark, name in _WIDE if data.startswith(mark)),
        declared.group(1).decode() if declared else '',
    )
    if encoding.lower() in ('', 'utf-8', 'utf8'):
        try:
            data.decode('utf-8')
        except UnicodeDecodeError as reason:
            raise XMLError(
                'byte %d is no UTF-8, and %s; save the file as UTF-8, or declare its encoding, as '
                'in '
                '<?xml version="1.0" encoding="gb18030"?>'
                % (
                    reason.start,
                    'that is what it declares' if declared else 'no other encoding is declared',
                )
            ) from None
        raise XMLError(str(error)) from None
    try:
        text = io.TextIOWrapper(io.BytesIO(data), _WIDER.get(encoding.lower(), encoding)).read()
    except (LookupError, UnicodeError) as reason:
        raise XMLError(
            'it declares the encoding %s, which %s; save the file as UTF-8'
            % (
                encoding,
                'is not known' if isinstance(reason, LookupError) else 'its bytes are not',
            )
        ) from None
    return _DECLARATION.sub('', text.lstrip('\ufeff'))
