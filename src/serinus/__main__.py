"""``python -m serinus`` is the command line."""

from serinus.cli import main

if __name__ == "__main__":
    main()
