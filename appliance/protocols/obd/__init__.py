"""OBD-II (SAE J1979, ISO 15031-5) on CAN: the legislated questions every engine controller answers."""
