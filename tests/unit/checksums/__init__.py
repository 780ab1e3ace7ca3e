"""Tests of the checksum room and the synthetic images they share."""
