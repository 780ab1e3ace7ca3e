"""Pure encoders and decoders of the KWP2000 services that Pitbox uses (ISO 14230-3)."""
