"""``python -m lawful``: the command line."""

import sys

from lawful.cli import main

sys.exit(main())
