"""`python -m longtail` is the `longtail` command."""

import os
import sys


def leave_working_directory() -> None:
    """Remove the entry that `-m` put at the front of sys.path; one from PYTHONPATH is further back and remains."""
    try:
        here = os.getcwd()
    except OSError:  # it was deleted, which the command will report
        here = ""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]


if __name__ == "__main__":
    leave_working_directory()  # before an import that a file of the working directory could shadow

    from longtail.cli import main

    main()
