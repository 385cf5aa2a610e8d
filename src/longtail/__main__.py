"""`python -m longtail` is the `longtail` command."""

import os
import sys


def leave_working_directory() -> None:
    """Take off the path what `-m` put at its front; an entry that PYTHONPATH names stands further back and stays."""
    try:
        here = os.getcwd()
    except OSError:  # it is gone, and the command will say so
        here = ""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]


if __name__ == "__main__":
    leave_working_directory()  # before anything is imported that the working directory could hold

    from longtail.cli import main

    main()
