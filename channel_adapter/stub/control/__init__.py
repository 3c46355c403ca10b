"""Control plane of the stub: tests in any language change and read it under `/_stub/`."""
