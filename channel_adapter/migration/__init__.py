"""Moving official accounts, or files of any other system, to channels: plan, apply, verify, cut over, roll back."""
