"""General asyncio tools: batching, paging, batch loader, single flight, clock. Imports nothing of this project."""
