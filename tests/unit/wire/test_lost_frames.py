"""What a full receive buffer threw away, as the kernel tells it of any socket."""

from __future__ import annotations

import socket
import struct

import pytest

from drivers.can.socketcan import drops_in, lost_by


def test_what_a_full_buffer_threw_away_is_counted() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
    ):
        receiving.bind(("127.0.0.1", 0))
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        assert lost_by(receiving.fileno()) == 0
        for _ in range(100):
            sending.sendto(bytes(16), receiving.getsockname())
        receiving.setblocking(False)
        lost, taken = lost_by(receiving.fileno()), 0
        with pytest.raises(BlockingIOError):
            while receiving.recv(16):
                taken += 1
        assert lost > 0
        assert lost + taken == 100


def test_figures_of_an_older_kernel_tell_of_no_loss() -> None:
    figures = list(range(1, 10))
    assert drops_in(struct.pack("=9I", *figures)) == 9
    assert drops_in(struct.pack("=10I", *figures, 10)) == 9
    assert drops_in(struct.pack("=8I", *figures[:8])) == 0
