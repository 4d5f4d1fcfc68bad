"""Runs one of our own modules inside a private network: `python -m drills.inside 7,8,9 drills.keeper`.

The numbers are descriptors of the namespaces that the network's porter handed out. Joining them is the first thing that
the process does, so the module need not know where it runs, and its parent is the same as without a network.
"""

from __future__ import annotations

import os
import runpy
import sys

from drills import namespaces


def main() -> None:
    """Join, and be the module."""
    descriptors = tuple(int(number) for number in sys.argv[1].split(","))
    namespaces.join(descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    module = sys.argv[2]
    sys.argv[1:] = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
