"""An S3-compatible store, whoever's it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from pyarrow import fs

from core.config.ml_core_storage import S3Store
from core.errors import InputError, TransientError
from core.stores.object_storage.protocol import StoredObject

_ATTEMPTS: Final = 3
_ONE_REQUEST: Final = 8 * 2**20
"""Bytes up to which an object is stored by one PUT; pyarrow's own bound, 10 MiB, lies above."""
_SDK_ERROR: Final = re.compile(r"AWS Error ([A-Z_]+)")
_NO_BUCKET: Final = "NO_SUCH_BUCKET"
_REFUSALS: Final = frozenset(
    {
        "ACCESS_DENIED",
        "INCOMPLETE_SIGNATURE",
        "INVALID_ACCESS_KEY_ID",
        "INVALID_CLIENT_TOKEN_ID",
        "INVALID_SIGNATURE",
        "MISSING_AUTHENTICATION_TOKEN",
        "OPT_IN_REQUIRED",
        "SIGNATURE_DOES_NOT_MATCH",
        "UNRECOGNIZED_CLIENT",
    }
)


@dataclass(frozen=True)
class S3Address:
    """Where the store is and who asks: what S3_ENDPOINT_URL, S3_BUCKET and the two keys say."""

    endpoint_url: str
    bucket: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> S3Address:
        """From checked variables (core.config.environment_variables.S3_VARIABLES)."""
        return cls(
            endpoint_url=variables["S3_ENDPOINT_URL"],
            bucket=variables["S3_BUCKET"],
            access_key_id=variables["S3_ACCESS_KEY_ID"],
            secret_access_key=variables["S3_SECRET_ACCESS_KEY"],
        )


class S3Storage:
    """Objects of a bucket below a prefix. See ObjectStorage for what each method raises."""

    def __init__(self, address: S3Address, settings: S3Store) -> None:
        """Raises InputError where the bucket is not there or the keys are refused, TransientError without an answer."""
        url = urlsplit(address.endpoint_url)
        open_files = partial(
            fs.S3FileSystem,
            access_key=address.access_key_id,
            secret_key=address.secret_access_key,
            region=settings.region,
            scheme=url.scheme,
            endpoint_override=url.netloc + url.path.rstrip("/"),
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )
        self._files = open_files(background_writes=False, allow_delayed_open=True)
        # A stream that is dropped after a failure closes itself, which completes the upload: with whatever parts came
        # through, or, where it had not been begun yet, with no bytes. It cannot be told to abort. With background
        # writes the first failure stays with the stream and no close completes it; opened at once, it has been begun.
        self._in_parts = open_files(background_writes=True, allow_delayed_open=False)
        self._root = f"{address.bucket}/{settings.prefix}"
        self._endpoint = f"{url.scheme}://{url.hostname}{f':{url.port}' if url.port else ''}"
        with self._errors():
            found = self._files.get_file_info(address.bucket)
        if found.type == fs.FileType.NotFound:
            raise self._refused(f"there is no bucket {address.bucket}")

    @property
    def name(self) -> str:
        return f"{self._endpoint}/{self._root}"

    def get(self, key: str) -> bytes | None:
        try:
            with self._errors(), self._files.open_input_stream(self._path(key)) as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def put(self, key: str, content: bytes) -> None:
        files = self._files if len(content) <= _ONE_REQUEST else self._in_parts
        with self._errors():
            file = files.open_output_stream(self._path(key))
            file.write(content)
            file.close()

    def list(self, prefix: str) -> Iterator[StoredObject]:
        selector = fs.FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
        with self._errors():
            found = self._files.get_file_info(selector)
        for each in found:
            if each.type == fs.FileType.File:
                yield StoredObject(each.path.removeprefix(f"{self._root}/"), each.size, each.mtime)

    def delete(self, key: str) -> None:
        try:
            with self._errors():
                self._files.delete_file(self._path(key))
        except FileNotFoundError:
            return

    def size(self, key: str) -> int | None:
        try:
            with self._errors(), self._files.open_input_file(self._path(key)) as file:
                size: int = file.size()
        except FileNotFoundError:
            return None
        return size

    def exists(self, key: str) -> bool:
        return self.size(key) is not None

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the client's errors into ours; that an object is not there passes through."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            text = " ".join(str(error).split())[:500]
            found = _SDK_ERROR.search(text)
            code = found.group(1) if found else ""
            if code == _NO_BUCKET or code in _REFUSALS or isinstance(error, PermissionError):
                raise self._refused(text) from error
            raise TransientError(
                "STORAGE_STORE_UNREACHABLE",
                f"the object store does not answer: {text}",
                where=self.name,
                remedy="check that the store runs and that S3_ENDPOINT_URL names it, then run the same command again",
            ) from error

    def _refused(self, why: str) -> InputError:
        return InputError(
            "STORAGE_ACCESS_REFUSED",
            f"the object store refuses: {why}",
            where=self.name,
            remedy="correct S3_BUCKET, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or have the bucket made or opened",
        )
