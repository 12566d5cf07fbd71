#!/usr/bin/env python
"""Every command of iris: `python manage.py help` lists them."""

import sys

if __name__ == "__main__":
    from iris.startup_errors import run_command

    run_command(sys.argv)
