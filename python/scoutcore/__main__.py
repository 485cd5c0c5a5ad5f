"""``python -m scoutcore`` is ``scoutcore``."""

import sys

from scoutcore.cli import main

sys.exit(main())
