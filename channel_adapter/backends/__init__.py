"""How channels are stored on the service: protocols for the services, and one implementation per mode."""
