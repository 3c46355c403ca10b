"""Moving posting from official accounts to channels."""
