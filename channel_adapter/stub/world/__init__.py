"""The stub's state machine: state + command + clock -> reply + events. No HTTP, no I/O, nothing global."""
