"""`python -m gitdeploy`, which bin/gitdeploy runs."""

import sys

from gitdeploy.cli import main

sys.exit(main())
