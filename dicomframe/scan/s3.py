"""Ask S3 for ranges: through obstore where that can be, else through s3fs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from fsspec.spec import AbstractFileSystem

from dicomframe.scan.ranges import StorageFault
from dicomframe.scan.transfer import Transfer

__all__ = ["AnswerTold", "StoreStatus", "ask_s3", "find_obstore"]

AnswerTold = tuple[bytes, tuple[int, int | None] | None, str | None]
"""What an answer tells: its bytes; where they begin in the file, and its size; the ETag."""

_OK = 200
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_STATUS = re.compile(r"status code: (\d{3})")
_KNOWN_OPTIONS = frozenset(
    {"key", "secret", "token", "anon", "endpoint_url", "client_kwargs", "config_kwargs", "use_ssl",
     "use_listings_cache", "skip_instance_cache", "default_block_size", "default_cache_type",
     "default_fill_cache"}
)  # fmt: skip


# The threads of obstore do not live on in a process that was forked from one that used it.
_first_process: dict[str, int] = {}


class StoreStatus(StorageFault):
    """A store answered with an HTTP status instead of bytes."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the store answered {status}")
        self.status = status


def find_obstore(
    file_system: AbstractFileSystem, options: Mapping[str, Any], transfer: Transfer
) -> Any:
    """Return a function from a bucket to its obstore; None where s3fs must do.

    obstore asks four times as much in a second, but finds credentials and regions in fewer
    places. So it is taken where both were told: by `options`, as s3fs knows them, or by the
    usual environment variables. A store of fsspec that is one of obstore's is taken as it is.
    """
    if hasattr(file_system, "_construct_store"):
        return file_system._construct_store
    settings = _settings(options)
    if settings is None or _first_process.setdefault("pid", os.getpid()) != os.getpid():
        return None
    try:
        from obstore.store import S3Store  # noqa: PLC0415  (an extra)
    except ImportError:
        return None
    make = partial(
        S3Store,
        **settings,
        client_options={
            "allow_http": True,
            "timeout": f"{transfer.deadline(transfer.window_bytes):.0f}s",
            "pool_max_idle_per_host": str(transfer.in_flight),
        },
        retry_config={"max_retries": 0},
    )
    return lru_cache(make)


async def ask_s3(file_system: Any, obstore: Any, path: str, start: int, stop: int) -> AnswerTold:
    """Return the bytes from `start` to `stop` of the object at `path`, and what came with them."""
    if obstore is not None:
        bucket, _, key = path.partition("/")
        try:
            return await _ask_obstore(obstore(bucket), key, start, stop)
        except ValueError:
            if not hasattr(file_system, "split_path"):
                raise
            # A key that obstore has no word for, such as a//b or one with a tab.
    return await _ask_s3fs(file_system, path, start, stop)


async def _ask_obstore(store: Any, key: str, start: int, stop: int) -> AnswerTold:
    from obstore import exceptions  # noqa: PLC0415

    try:
        answer = await store.get_async(key, options={"range": (start, stop)})
        data = (await answer.bytes_async()).to_bytes()
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise PermissionError from None
    except exceptions.GenericError as error:
        status = _STATUS.search(str(error))
        if status is not None:
            raise StoreStatus(int(status[1])) from None
        raise ConnectionError from None
    return data, (answer.range[0], answer.meta["size"]), answer.meta["e_tag"]


async def _ask_s3fs(file_system: Any, path: str, start: int, stop: int) -> AnswerTold:
    bucket, key, version_id = file_system.split_path(path)
    answer = await file_system._call_s3(
        "get_object",
        Bucket=bucket,
        Key=key,
        Range=f"bytes={start}-{stop - 1}",
        **({"VersionId": version_id} if version_id else {}),
    )
    async with answer["Body"] as body:
        data = await body.read()
    told = _CONTENT_RANGE.fullmatch(answer.get("ContentRange") or "")
    if told is not None:
        return data, (int(told[1]), None if told[2] == "*" else int(told[2])), answer.get("ETag")
    if answer["ResponseMetadata"]["HTTPStatusCode"] != _OK:
        raise ConnectionError  # a part of the object, but not told which
    return data, (0, None), answer.get("ETag")


def _settings(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what obstore must be told, None if that is not known for certain."""
    client = options.get("client_kwargs") or {}
    environment = os.environ.get
    endpoint = (
        options.get("endpoint_url")
        or client.get("endpoint_url")
        or environment("AWS_ENDPOINT_URL_S3")
        or environment("AWS_ENDPOINT_URL")
    )
    region = (
        client.get("region_name")
        or environment("AWS_REGION")
        or environment("AWS_DEFAULT_REGION")
        or ("us-east-1" if endpoint else None)
    )
    if (
        not _KNOWN_OPTIONS.issuperset(options)
        or not {"endpoint_url", "region_name"}.issuperset(client)
        or not {"max_pool_connections", "retries"}.issuperset(options.get("config_kwargs") or {})
        or region is None
        or (environment("AWS_CA_BUNDLE") and not str(endpoint).startswith("http://"))
    ):
        return None
    settings: dict[str, Any] = {"region": region}
    if endpoint:
        settings |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    if options.get("anon"):
        return {**settings, "skip_signature": True}
    key, secret = options.get("key"), options.get("secret")
    token = options.get("token")
    if not (key or secret):
        key, secret = environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY")
        token = environment("AWS_SESSION_TOKEN")
    if not (key and secret):
        return None
    settings |= {"access_key_id": key, "secret_access_key": secret}
    return {**settings, "session_token": token} if token else settings
