"""The same faces as the API's tests."""

from tests.api.conftest import faces, template

__all__ = ["faces", "template"]
