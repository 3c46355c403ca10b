"""General asyncio tools that know nothing of channels or of the service."""
