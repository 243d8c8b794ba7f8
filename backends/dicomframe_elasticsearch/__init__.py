"""The sinks Elasticsearch and OpenSearch: one way to write, two official clients."""
