"""Networks fed with the recipe's inputs and parameters, and the outputs recorded from the original for them."""
import importlib.util

import numpy as np

from tests.helpers.symbol_tools import relative_difference, run


class Recorded:
    """The recipe of the folder of reference values, and the values of some of its files.

    key, cur: network input of the frames at `times` of the recipe's clip at `size` = (height, width).
    """

    def __init__(self, folder, files, size, times):
        spec = importlib.util.spec_from_file_location('recipe', str(folder / 'recipe.py'))
        self.recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.recipe)
        self.values = {}
        for file in files:
            with np.load(folder / file) as arrays:
                self.values.update({name: arrays[name] for name in arrays.files})
        self.key, self.cur = (self.recipe.to_tensor(self.recipe.synthetic_frame(*size, t)) for t in times)

    def run(self, instance, inputs, train=False, more=(), change=lambda args, auxs: None):
        """Outputs and gradients of instance.sym, as symbol_tools.run; change: called with the recipe's parameters."""
        instance.infer_shape({name: value.shape for name, value in inputs.items()})
        needed = {name: shape for name, shape in instance.arg_shape_dict.items() if name not in inputs}
        args, auxs = self.recipe.reference_params(needed, instance.aux_shape_dict)
        change(args, auxs)
        return run(instance.sym, inputs, args, auxs, train, more)

    def compare(self, prefix, outputs, at_least):
        """Every output that was recorded under `prefix`, to 1e-4; at least so many."""
        names = [name for name in outputs if prefix + name in self.values]
        assert len(names) >= at_least
        for name in names:
            difference = relative_difference(self.recipe.sample(outputs[name]), self.values[prefix + name])
            assert difference < 1e-4, (name, difference)

    def compare_gradients(self, gradients, names, norms):
        """The L2 norms of the gradients of all parameters, recorded under `names` and `norms`, to 1e-3."""
        names = [str(name) for name in self.values[names]]
        assert sorted(gradients) == sorted(names)
        found = np.array([np.linalg.norm(gradients[name].astype(np.float64)) for name in names])
        np.testing.assert_allclose(found, self.values[norms], rtol=1e-3, atol=1e-9)
