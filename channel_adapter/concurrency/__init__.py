"""General tools, most of them for asyncio, which import nothing of this project.

batching, batch_loader, single_flight, paging, retry, outage, signals, clock, http_server, logs, files.
"""
