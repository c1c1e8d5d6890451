"""The compiled reader of detections files against its NumPy twin and Python's own numbers."""
import numpy as np
import pytest

from lib.evaluation import detections
from lib.evaluation.detections import parse_numpy, read_detections

compiled = pytest.importorskip('lib.evaluation.detection_text', reason='the compiled modules are not built: sh init.sh')


@pytest.mark.parametrize('text, regular', [
    ('1 1 0.5 1 2 30 20\n2147483647 2 -0.0001 -1.25 00.50 123456789012.345 -0\n', True),
    ('1 1 .5 1 2 30 20\n', False), ('1 1 5. 1 2 30 20\n', False), ('1 1 1e-3 1 2 30 20\n', False),
    ('1 1 +1 1 2 30 20\n', False), ('1 1 0.12345678901234567 1 2 30 20\n', False),
    ('1 1 1234567890123456789012 1 2 30 20\n', False), ('1 1 - 1 2 30 20\n', False),
    ('2147483648 1 0.5 1 2 30 20\n', False), ('-1 1 0.5 1 2 30 20\n', False), ('1.5 1 0.5 1 2 30 20\n', False),
    ('1 0 0.5 1 2 30 20\n', False), ('1 3 0.5 1 2 30 20\n', False), ('1 1 0.5 1 2 30\n', False),
    ('1 1 0.5 1 2 30 20 1\n', False), ('1 1 nan 1 2 30 20\n', False), ('\n', False), ('1  1 0.5 1 2 30 20\n', False),
    ('1 1 0.5 1 2 30 20\r\n', False), ('1 1 0.5 1 2 30\n20\n', False), ('\x001 1 0.5 1 2 30 20\n', False),
])
def test_compiled_parser(text, regular):
    parsed = compiled.parse(text.encode(), 3)
    assert (parsed is not None) == regular
    if regular:
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(parsed, parse_numpy(text.encode(), 3)))
        assert parsed[3][1].tolist() == [-1.25, 0.5, 123456789012.345, 0]


def test_compiled_parser_rounds_as_python_does():
    rng = np.random.RandomState(0)
    values = rng.normal(0, 10.0 ** rng.randint(-6, 4, (2000, 1)), (2000, 5))
    texts = [['%.*f' % (rng.randint(0, 12), value) for value in row] for row in values]
    _, _, scores, boxes = compiled.parse(''.join('1 1 %s\n' % ' '.join(row) for row in texts).encode(), 2)
    assert np.column_stack([scores, boxes]).tolist() == [[float(text) for text in row] for row in texts]


@pytest.mark.parametrize('block', [30, 1 << 20])
def test_numbers_that_only_numpy_reads(tmp_path, monkeypatch, block):
    monkeypatch.setattr(detections, 'BLOCK', block)
    (tmp_path / 'plain.txt').write_text('1 1 0.9 1 2 30 20\n2 1 0.25 1 2 30 20')
    (tmp_path / 'other.txt').write_text('1 1 0.9 1 2 30 20\n2 1 2.5e-1 1.0000000000000000 2 30 20\n')
    expected, found = (read_detections(str(tmp_path / name), 3) for name in ('plain.txt', 'other.txt'))
    assert all(np.array_equal(a, b) for a, b in zip(expected[1], found[1])) and len(found[1].scores) == 2
