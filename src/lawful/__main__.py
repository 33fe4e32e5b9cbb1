"""``python -m lawful``: the command line."""

import sys


def run() -> int:
    """Run the program of the process; Ctrl-C while it loads ends it as quietly as later."""
    try:
        from lawful.cli import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
