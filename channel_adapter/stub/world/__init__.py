"""The state machine of the stub: data + command + clock -> reply + events. No HTTP, no I/O, no globals."""
