"""The web page for operators: `channel-adapter console`, or part of an aiohttp application of yours.

```python
app.add_subapp("/channels-admin", channel_adapter.console.application(adapter, authorise=my_function))
```
"""

from channel_adapter.config.extras import needs_extra

with needs_extra("the console", extra="console"):
    from channel_adapter.console.app import application
    from channel_adapter.console.auth import AccessRole, Authorise, Operator
    from channel_adapter.console.page import ConsoleOptions

__all__ = ["AccessRole", "Authorise", "ConsoleOptions", "Operator", "application"]
