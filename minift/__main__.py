"""`python -m minift` is `minift`."""

import sys

from minift.cli.main import main

sys.exit(main())
