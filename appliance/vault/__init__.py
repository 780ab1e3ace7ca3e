"""Sealing and opening files, the keys, the blob store, tuned packages and their grants.

Plaintext of an ECU lives in the memory of the process that holds a `KeyRing` and nowhere else: not on disk,
not in swap, not in a log, not in a core dump. What is on disk is age v1 ciphertext and JSON records about it.

Key protection is tier T0: the seed and a master's private keys are files with mode 0600. Whoever is root on
the box, or takes an unencrypted SD card, has the keys. Tier T1 (seed out of one-time-programmable memory
behind secure boot) and T2 (a TPM) replace the file and leave every format here as it is.

A vault error answers "is the ECU safe?" with *untouched*, because the vault never writes to one; a caller
that was half-way through a write sets `error.ecu` before passing the error on.
"""
