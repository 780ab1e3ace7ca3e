"""The real-kernel tests and the harness that boots a Debian 13 guest for them (`tests.vm.guest`)."""
