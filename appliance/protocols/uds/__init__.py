"""UDS host (ISO 14229-1): codecs, request policy, and the ECU access built on them."""
