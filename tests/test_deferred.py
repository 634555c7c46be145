import subprocess
import sys

import pytest

from serinus.deferred import Deferred


def test_deferred_is_the_module_once_it_is_asked():
    module = Deferred("json")
    assert module.loads("[1]") == [1]
    with pytest.raises(AttributeError):
        _ = module.nothing


@pytest.mark.parametrize("module", ["serinus.delivery.controller", "serinus.processes.control"])
def test_control_starts_without_mlflow_and_pandas(module):
    code = f"import sys, {module}; print({{'mlflow', 'pandas', 'sklearn'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
