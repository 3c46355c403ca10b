"""pytest plugins: fixtures for suites that run against the stub, with or without the adapter."""
