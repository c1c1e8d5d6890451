"""ResNet-v1 recognised by how its layers are connected, whatever they are called (He et al., arXiv 1512.03385)."""
from dff.errors import CheckpointError
from lib.symbols.backbones.resnet_v1 import STAGES, unit_name


class Found:
    """A ResNet-v1 in a foreign network.

    Attributes:
        depth, width, stem_width: of the network, as network.depth, width and stem_width.
        stride_in_3x3: where its bottlenecks halve the size.
        pool_pad: padding of its first pooling.
        parts: {our name of a convolution: {part: name of the tensor}}.
        eps: {our name of a convolution: eps of the normalisation behind it}, of those that have one.
    """

    def __init__(self):
        self.depth, self.width, self.stem_width = 0, 0.0, 0.0
        self.stride_in_3x3, self.pool_pad = False, 0
        self.parts, self.eps = {}, {}


class _Unit:
    """A residual unit: its convolutions in order, and that of its shortcut or None."""

    def __init__(self, main, shortcut):
        self.main, self.shortcut = main, shortcut


class _Conv:
    """A convolution with what follows it up to the next ReLU, addition or pooling."""

    def __init__(self, layer, parts, eps, end):
        self.layer, self.parts, self.eps, self.end = layer, parts, eps, end

    def __str__(self):
        return self.layer.name

    def is_of(self, kernel, *strides):
        """Whether it is a plain one of that kernel and one of these strides."""
        has = self.layer.attributes
        return has['kernel'] == kernel and has['stride'] in strides and has['group'] == 1


def recognise(network, path):
    """Return the ResNet-v1 that a foreign network is, Found.

    Args:
        network: lib.weights.layers.Network.
        path: of its file, for messages.

    Raises:
        CheckpointError: it is none; with the layer that does not fit, and why.
    """
    walk = _Walk(network, path)
    found = Found()
    stem, pool, body = walk.stem()
    found.pool_pad = int(pool.attributes['pad'])
    units = []
    while True:
        unit, body = walk.unit(body)
        if unit is None:
            break
        units.append(unit)
    stages = _stages(walk, units)
    _set_form(walk, found, stem, stages)
    _take(found, 'conv1', stem)
    for stage, members in enumerate(stages, start=2):
        for index, unit in enumerate(members):
            name = 'res%d%s_branch' % (stage, unit_name(found.depth, stage, index))
            for letter, conv in zip('abc', unit.main):
                _take(found, '%s2%s' % (name, letter), conv)
            if unit.shortcut is not None:
                _take(found, name + '1', unit.shortcut)
    return found


def _take(found, name, conv):
    found.parts[name] = conv.parts
    if conv.eps is not None:
        found.eps[name] = conv.eps


class _Walk:
    """Steps along the layers of a network from its images on."""

    def __init__(self, network, path):
        self.network, self.path, self.readers = network, path, {}
        made = set()
        for layer in network.layers:
            for name in layer.inputs:
                self.readers.setdefault(name, []).append(layer)
            for name in layer.outputs:
                if name in made or name in self.readers:    # such a graph may have circles
                    self.refuse(layer, 'makes %r, which was made or read before' % name)
                made.add(name)

    def refuse(self, layer, reason):
        """Raise the error that names a layer."""
        raise CheckpointError('%s is no ResNet-v1 that this project has: layer %r %s'
                              % (self.path, str(getattr(layer, 'name', layer)), reason))

    def after(self, name):
        """Return the layers that read `name`, those that change nothing left out."""
        readers = []
        for layer in self.readers.get(name, ()):
            if layer.kind == 'same':
                for output in layer.outputs:
                    readers += self.after(output)
            else:
                readers.append(layer)
        return readers

    def only(self, name, kind, what):
        """Return the one layer that reads `name`, which has to be of `kind`."""
        readers = self.after(name)
        if len(readers) > 1:
            self.refuse(readers[0], 'is one of %d layers that read %r, where only %s should'
                        % (len(readers), name, what))
        if not readers or readers[0].kind != kind:
            self.refuse(readers[0] if readers else name, 'is where %s is expected%s' % (
                what, ', and is %s' % readers[0].kind if readers else ''))
        return readers[0]

    def conv(self, layer):
        """Return the _Conv that begins with a convolution."""
        parts, eps, end = dict(layer.tensors), None, layer.outputs[0]
        while True:
            readers = self.after(end)
            if len(readers) != 1 or readers[0].kind not in ('norm', 'scale'):
                return _Conv(layer, parts, eps, end)
            follows = readers[0]
            if set(follows.tensors) & set(parts) - {'bias'}:
                self.refuse(follows, 'is a second normalisation')
            parts.update(follows.tensors)
            eps = follows.attributes.get('eps', eps)
            end = follows.outputs[0]

    def stem(self):
        """Return (7x7 convolution, pooling, name of what comes after them)."""
        first = next((layer for layer in self.network.layers if layer.kind == 'conv'), None)
        if first is None:
            raise CheckpointError('%s has no convolution' % self.path)
        stem = self.conv(first)
        if not stem.is_of(7, 2) or first.attributes['pad'] != 3:
            self.refuse(stem, 'is the first convolution, and not one of 7x7 with stride 2 and padding 3')
        relu = self.only(stem.end, 'relu', 'a ReLU')
        pool = self.only(relu.outputs[0], 'pool', 'a pooling')
        has = pool.attributes
        if not has['max'] or (has['kernel'], has['stride']) != (3, 2):
            self.refuse(pool, 'is no maximum over 3x3 with stride 2')
        return stem, pool, pool.outputs[0]

    def unit(self, body):
        """Return (the _Unit that reads `body`, name of what it makes); (None, body) behind the last one."""
        readers = self.after(body)
        convs = [self.conv(layer) for layer in readers if layer.kind == 'conv']
        if not convs:
            return None, body
        adds = [layer for layer in readers if layer.kind == 'add']
        ends = [(conv, self.after(conv.end)) for conv in convs]
        short = [conv for conv, after in ends if [layer.kind for layer in after] == ['add']]
        main = [conv for conv in convs if conv not in short]
        if len(main) != 1 or len(short) + len(adds) != 1 or len(readers) != 2:
            self.refuse(convs[0], 'does not begin a residual unit: %d layers read %r, where a branch and a '
                        'shortcut should' % (len(readers), body))
        chain, add = [main[0]], None
        while add is None:
            after = self.after(chain[-1].end)
            if len(after) == 1 and after[0].kind == 'add' and len(chain) > 1:
                add = after[0]
            else:
                relu = self.only(chain[-1].end, 'relu', 'a ReLU')
                chain.append(self.conv(self.only(relu.outputs[0], 'conv', 'a convolution')))
        shortcut = short[0] if short else None
        if add not in (self.after(shortcut.end) if shortcut else adds):
            self.refuse(add, 'does not add the shortcut of its own unit')
        return _Unit(chain, shortcut), self.only(add.outputs[0], 'relu', 'a ReLU').outputs[0]


def _stages(walk, units):
    """The units in stages: a new one begins where the branch has more channels."""
    stages, filters = [], 0
    for unit in units:
        count = len(_weight(walk, unit.main[0]))
        if count != filters:
            stages.append([])
        filters = count
        stages[-1].append(unit)
    return stages


def _weight(walk, conv):
    return walk.network.tensors[conv.parts['weight']]


def _set_form(walk, found, stem, stages):
    """Depth, widths and place of the strides; what fits none of ours is refused."""
    if not stages:
        walk.refuse(stem, 'is followed by no residual units')
    bottleneck = len(stages[0][0].main) == 3
    form = (tuple(map(len, stages)), bottleneck)
    if form not in STAGES.values():
        walk.refuse(stages[-1][-1].main[-1], 'ends a network of %s units with %d convolutions each; ours have %s'
                    % ('-'.join(map(str, form[0])), len(stages[0][0].main), ', '.join(
                        '-'.join(map(str, units)) for units, _ in STAGES.values())))
    found.depth = next(depth for depth, known in STAGES.items() if known == form)
    found.stem_width = len(_weight(walk, stem)) / 64
    found.width = len(_weight(walk, stages[0][0].main[0])) / 64
    strided = []
    for number, members in enumerate(stages):
        for index, unit in enumerate(members):
            halves = number > 0 and index == 0
            _check_unit(walk, unit, bottleneck, found.width * 64 * 2 ** number, halves)
            if halves:
                strided.append([conv.layer.attributes['stride'] for conv in unit.main].index(2))
    if len(set(strided)) != 1 or strided[0] > 1 or (strided[0] and not bottleneck):
        walk.refuse(stages[1][0].main[0], 'and others halve the size in different places')
    found.stride_in_3x3 = bottleneck and strided[0] == 1


def _check_unit(walk, unit, bottleneck, filters, halves):
    """Kernels, channels and strides of a unit are ours."""
    kernels = (1, 3, 1) if bottleneck else (3, 3)
    counts = (filters, filters, 4 * filters)[:len(kernels)]
    if len(unit.main) != len(kernels):
        walk.refuse(unit.main[0], 'begins a unit of %d convolutions, others have %d'
                    % (len(unit.main), len(kernels)))
    for conv, kernel, count in zip(unit.main, kernels, counts):
        if not conv.is_of(kernel, *((1, 2) if halves else (1,))):
            has = conv.layer.attributes
            walk.refuse(conv, 'has kernel %d, stride %d, groups %d; expected were kernel %d, stride %s, no groups' % (
                has['kernel'], has['stride'], has['group'], kernel, '1 or 2' if halves else '1'))
        if len(_weight(walk, conv)) != count:
            walk.refuse(conv, 'has %d channels; expected were %d (a wide network?)'
                        % (len(_weight(walk, conv)), count))
    strides = [conv.layer.attributes['stride'] for conv in unit.main]
    if sum(stride == 2 for stride in strides) != int(halves):
        walk.refuse(unit.main[0], 'begins a unit with strides %s' % strides)
    if unit.shortcut is not None and not unit.shortcut.is_of(1, 2 if halves else 1):
        walk.refuse(unit.shortcut, 'is a shortcut that is not a 1x1 convolution of its unit\'s stride '
                                  '(a ResNet-D?)')
    if halves and unit.shortcut is None:
        walk.refuse(unit.main[0], 'begins a stage without a convolution in the shortcut')
