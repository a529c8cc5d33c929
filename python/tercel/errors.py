"""Tercel's errors. Each is a tercel.Error with a `code`, and also the built-in exception of the same meaning."""

from __future__ import annotations


class Error(RuntimeError):
    """A mistake that Tercel reports: the message says where, what was expected, and what to do."""

    code = "internal"


class InvalidArgumentError(Error, ValueError):
    code = "invalid_argument"


class InvalidFileError(Error, ValueError):
    code = "invalid_file"


class NotFoundError(Error, FileNotFoundError):
    code = "not_found"


class UnsupportedError(Error, NotImplementedError):
    code = "unsupported"


class OutOfMemoryError(Error, MemoryError):
    code = "out_of_memory"


class CancelledError(Error):
    code = "cancelled"


class DeadlineExceededError(Error, TimeoutError):
    code = "deadline_exceeded"


class IoError(Error, OSError):
    code = "io"


_CLASSES = {cls.code: cls for cls in Error.__subclasses__()}


def make(code: str, message: str) -> Error:
    """The exception for a code of the library."""
    return _CLASSES.get(code, Error)(message)
