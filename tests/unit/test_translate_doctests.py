"""The examples in translate's docstrings are true."""

import doctest
import importlib

import pytest

# those with examples
MODULES = "alignment langcodes markers protect records review values values.digits values.grammar values.mention"


@pytest.mark.parametrize("name", MODULES.split())
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"translate.{name}"))
    assert (found.failed, found.attempted > 0) == (0, True)
