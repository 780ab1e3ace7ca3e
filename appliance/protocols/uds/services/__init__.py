"""Pure encoders and decoders, one file per functional group of ISO 14229-1."""
