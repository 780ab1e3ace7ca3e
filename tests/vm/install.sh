#!/bin/bash
# Installs what `make vm` needs on Debian 12: the tools that build the guest and the emulator that boots it.
set -euo pipefail

apt-get -o DPkg::Lock::Timeout=300 update -qq
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
    arch-test \
    debian-archive-keyring \
    e2fsprogs \
    fakeroot \
    mmdebstrap \
    qemu-system-x86 \
    qemu-utils \
    uidmap
