"""ISO-TP (ISO 15765-2): the kernel's sockets on SocketCAN, a small state machine of ours elsewhere."""
