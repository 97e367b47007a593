#!/usr/bin/env python3
"""ruff on the Python of this directory, from the environment of the tests."""

import subprocess
import sys

from environment import HERE, python_of

ruff = python_of("5.2").with_name("ruff")
commands = (["check", "-q"], ["format", "--check", "-q"])
sys.exit(max([subprocess.run([ruff, *command, HERE]).returncode for command in commands]))
