"""``python -m edgetransfer``."""

import sys

from edgetransfer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
