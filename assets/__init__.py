"""The graph: one short function per artifact, what is fresh and why, and the command line."""

import time

LOADING_SINCE = time.time()
"""When this process began to load the project's code; what is edited later may not be what ran."""
