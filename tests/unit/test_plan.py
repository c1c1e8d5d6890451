"""The plan of the code: dff/ needs nothing of lib/, and neither folders nor files import each other in a ring."""
import ast

import pytest

PACKAGES = 'dff', 'lib'


def imports_of(path, root):
    """Paths of the project's files that the Python file at `path` imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ['%s.%s' % (node.module, alias.name) for alias in node.names] + [node.module]
        else:
            continue
        for name in names:
            place = root.joinpath(*name.split('.'))
            for file in (place.with_suffix('.py'), place / '__init__.py'):
                if name.split('.')[0] in PACKAGES and file.is_file():
                    found.add(file)
    # Importing a part of a package imports its __init__ too, which is empty but for those at the top.
    return {file for file in found if file.name != '__init__.py' or file.stat().st_size} - {path}


def graph_of(root):
    """{file: files that it imports} of all packages."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob('*.py'))]
    assert len(files) > 100
    return {path: imports_of(path, root) for path in files}


def rings(graph):
    """The groups of nodes of {node: nodes} that reach each other."""
    def reach(start):
        seen, stack = set(), [start]
        while stack:
            for node in graph[stack.pop()]:
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return seen
    reached = {node: reach(node) for node in graph}
    return {frozenset(other for other in reached[node] if node in reached[other]) for node in graph
            if node in reached[node]}


def folders_of(graph, root):
    """{folder: folders whose files its own import}; lib/__init__.py, which prepares MXNet's import,
    counts with lib/utils, and the front of dff, its __init__ and __main__, with dff/runtime."""
    def folder(path):
        place = path.parent.relative_to(root).as_posix()
        if path.parent == root / 'dff' and path.name.startswith('__'):
            return 'dff/runtime'
        return 'lib/utils' if place == 'lib' else place
    found = {folder(path): set() for path in graph}
    for path, others in graph.items():
        found[folder(path)] |= {folder(other) for other in others} - {folder(path)}
    return found


def test_rings_are_found():
    assert rings({1: {2}, 2: {3}, 3: {1}, 4: {1}}) == {frozenset((1, 2, 3))}
    assert not rings({1: {2}, 2: {3}, 3: set(), 4: {1}})


@pytest.mark.parametrize('unit', ['files', 'folders'])
def test_no_ring(root, unit):
    graph = graph_of(root)
    if unit == 'folders':
        graph = folders_of(graph, root)
    assert [sorted(map(str, ring)) for ring in rings(graph)] == []


def test_dff_imports_nothing_of_lib(root):
    graph = graph_of(root)
    assert [(str(path), str(other)) for path, others in graph.items() for other in others
            if root / 'dff' in path.parents and root / 'lib' in other.parents] == []


def test_no_folder_is_a_drawer(root):
    for package in PACKAGES:
        for folder in [root / package] + [path for path in (root / package).rglob('*') if path.is_dir()]:
            files = [path for path in folder.glob('*.py') if path.name != '__init__.py']
            assert len(files) <= 16, '%s holds %d files: cut it into two rooms' % (folder, len(files))
