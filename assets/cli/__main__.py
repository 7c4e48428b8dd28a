"""``python -m assets.cli``: the command line where its program is not on the path."""

import signal

from assets.cli import main

if __name__ == "__main__":
    # A notebook's kernel ignores SIGINT and its children would inherit that: it must stop them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
