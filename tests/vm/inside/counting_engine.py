"""Runs in the guest: an engine that makes a file one byte longer for each CAN frame that Python decodes.

Usage: counting_engine.py FILE pitbox engine ARGUMENTS...
"""

import sys
from pathlib import Path

import can

from appliance.engine.program import main
from drivers.can import pythoncan
from drivers.can.interface import CanFrame

plain = pythoncan._frame
count = Path(sys.argv[1]).open("wb", buffering=0)  # noqa: SIM115 - as long as the engine


def counted(message: can.Message) -> CanFrame:
    count.write(b".")
    return plain(message)


pythoncan._frame = counted
sys.exit(main(sys.argv[4:]))
