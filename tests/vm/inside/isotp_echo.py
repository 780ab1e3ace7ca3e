"""Runs in the guest: a payload there and back, reversed, between two kernel ISO-TP sockets on one interface.

Usage: isotp_echo.py INTERFACE TX_DL SENT_FILE CAME_BACK_FILE   (TX_DL 8: classic frames, 64: CAN FD)
"""

import socket
import struct
import sys
import threading
from pathlib import Path

TESTER, ECU = 0x7E0, 0x7E8
LIMIT_S = 20.0
# linux/can/isotp.h
SOL_CAN_ISOTP = 106
CAN_ISOTP_LL_OPTS = 5
CAN_MTU, CANFD_MTU = 16, 72


def endpoint(interface: str, tx_dl: int, rx_id: int, tx_id: int) -> socket.socket:
    isotp = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
    link_layer = struct.pack("BBB", CANFD_MTU if tx_dl > 8 else CAN_MTU, tx_dl, 0)
    isotp.setsockopt(SOL_CAN_ISOTP, CAN_ISOTP_LL_OPTS, link_layer)
    isotp.settimeout(LIMIT_S)
    isotp.bind((interface, rx_id, tx_id))
    return isotp


def answer_reversed(ecu: socket.socket) -> None:
    ecu.send(ecu.recv(8300)[::-1])


def main(interface: str, tx_dl: str, sent: str, came_back: str) -> None:
    tester = endpoint(interface, int(tx_dl), ECU, TESTER)
    ecu = endpoint(interface, int(tx_dl), TESTER, ECU)
    answering = threading.Thread(target=answer_reversed, args=(ecu,))
    answering.start()
    tester.send(Path(sent).read_bytes())
    Path(came_back).write_bytes(tester.recv(8300))
    answering.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
