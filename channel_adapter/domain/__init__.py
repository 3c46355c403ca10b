"""What users of channels hold: frozen values without JSON names and without I/O."""
