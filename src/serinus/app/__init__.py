"""The composition root: one installation's services, and what faces show of them."""

from serinus.app.services import App

__all__ = ["App"]
