"""The command line ``serinus``: one file per noun; a command imports what it needs when run."""

from serinus.cli.root import main

__all__ = ["main"]
