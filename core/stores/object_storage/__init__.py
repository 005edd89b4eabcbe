"""The archive on an object store: immutable blobs, one reference a folder, and the local folders that mirror them."""
