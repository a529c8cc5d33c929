import importlib.util

import tercel


def test_version_is_that_of_the_library():
    assert tercel.__version__.count(".") == 2


def test_module_is_compiled():
    assert importlib.util.find_spec("tercel._tercel").origin.endswith(".so")
