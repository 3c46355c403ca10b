"""A stub of the service: a state machine in `world`, and a server that speaks its HTTP."""
