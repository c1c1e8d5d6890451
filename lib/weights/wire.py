"""The protocol-buffer wire format: fields of a message, without generated code."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data):
    """Yield (field number, value) of a message: an int for a varint, else a memoryview of the bytes.

    Args:
        data: memoryview of the message.

    Raises:
        ValueError, IndexError: it is no whole message.
    """
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position)
        else:
            if wire == BYTES:
                length, position = _varint(data, position)
            elif wire in (FIXED32, FIXED64):
                length = 4 if wire == FIXED32 else 8
            else:
                raise ValueError('byte %d begins no field' % position)
            value = data[position:position + length]
            if len(value) != length:
                raise ValueError('it ends inside a field')
            position += length
        yield number, value


def varints(value):
    """Return the numbers of a repeated integer field, packed or not.

    value: what `fields` gave of it.
    """
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _varint(data, position):
    """(number, position after it) of the base-128 number at `position`."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7f) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError('a number at byte %d has no end' % position)
