import pytest

from serinus.bench import artifact


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A gateway's folder with a logistic regression and its canary, and two models alone."""
    folder = tmp_path_factory.mktemp("bench")
    artifact.make(folder, ("logistic",), alone=2)
    return folder
