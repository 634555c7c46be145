"""Faces for the control plane's passes, and one whole installation for what needs processes."""

from tests.api.conftest import faces

__all__ = ["faces"]
