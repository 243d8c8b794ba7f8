"""Fetch the jars of all servers of sinks, side by side: ``python -m servers.fetching``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from servers import elasticsearch, hbase, opensearch, solr


def fetch_all() -> None:
    """Fetch what is not there yet; most of the time goes to asking, not to loading."""
    tasks: list[Callable[[], str]]
    tasks = [elasticsearch.fetch, hbase.fetch, opensearch.fetch, solr.fetch]
    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(lambda task: task(), tasks))


if __name__ == "__main__":
    fetch_all()
