"""The same faces as the API's tests."""

from tests.api.conftest import faces

__all__ = ["faces"]
