"""`python -m limecraft_jax`."""

import sys

from limecraft_jax.cli import main

sys.exit(main())
