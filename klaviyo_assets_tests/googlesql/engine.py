"""Calls into Google's engine: a WebAssembly module, compiled once per machine, and its protocol buffers.

Here: compiling and keeping the module, memory, calls, errors. Not here: what is asked (`google.py`).
"""

import ctypes
import fcntl
import hashlib
import os
import platform
import re
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from klaviyo_assets_tests.checkout import ROOT

try:
    import tzdata
    import wasmtime
    from zetasql.wasi import get_wasm_path
except ImportError as error:
    raise ImportError(
        f"Google's GoogleSQL engine cannot be loaded on {platform.platform()}, Python {platform.python_version()}: "
        f"{error}. It is in the PyPI packages zetasql (0.1.5) and wasmtime, which `make setup` installs; wasmtime has "
        "wheels for Linux (x86_64, aarch64), macOS and Windows. Without them nothing shows that BigQuery accepts the "
        "product's statements. Run the tests where both can be installed."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

# Ignored by git and removed by `make clean`; all test processes of a checkout share it.
CACHE = ROOT / ".pytest_cache" / "googlesql"
_Answer = TypeVar("_Answer", bound="Message")


class GoogleSqlError(Exception):
    """What Google's engine refused, in its own words."""


@contextmanager
def _turn(path: Path) -> "Iterator[None]":
    """One process at a time; the lock goes with the process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compiled_module(engine: wasmtime.Engine, cache: Path = CACHE) -> wasmtime.Module:
    """The engine's module: compiled by the first process (about a minute), read from disk by the others."""
    source = Path(get_wasm_path())
    parts = (version("zetasql"), version("wasmtime"), platform.machine(), source.stat().st_size)
    kept = cache / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.cwasm"
    cache.mkdir(parents=True, exist_ok=True)
    with _turn(cache / "lock"):
        if kept.exists():
            try:
                return wasmtime.Module.deserialize_file(engine, str(kept))
            except wasmtime.WasmtimeError:
                kept.unlink()  # compiled for another processor, or damaged
        module = wasmtime.Module.from_file(engine, str(source))
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(module.serialize())
        fresh.replace(kept)
        return module


class Engine:
    """One instance of the module. It is not safe for threads."""

    def __init__(self, cache: Path = CACHE) -> None:
        config = wasmtime.Config()
        config.shared_memory = True
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        self._store.set_wasi(self._wasi())
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        instance = linker.instantiate(self._store, compiled_module(engine, cache))
        self._exports: Any = instance.exports(self._store)
        self._exports["_initialize"](self._store)
        self._memory: Any = self._exports["memory"]

    @staticmethod
    def _wasi() -> wasmtime.WasiConfig:
        settings = wasmtime.WasiConfig()
        settings.preopen_dir(str(Path(tzdata.__file__).parent / "zoneinfo"), "/usr/share/zoneinfo")
        return settings

    def call(self, name: str, request: "Message", answer_type: type[_Answer]) -> _Answer:
        """Call a method of the engine's service.

        Raises:
            GoogleSqlError: The engine refused it.
        """
        content = request.SerializeToString()
        sent, size = self._run("wasm_malloc", max(len(content), 1)), self._run("wasm_malloc", 4)
        try:
            ctypes.memmove(self._address(sent), content, len(content))
            answer = self._run(f"ZetaSqlLocalService_{name}", sent, len(content), size)
            if not answer:
                raise GoogleSqlError(self._last_error())
            received = self._bytes(answer, int.from_bytes(self._bytes(size, 4), "little"))
            self._run("wasm_free", answer)
            return answer_type.FromString(received)
        finally:
            self._run("wasm_free", sent)
            self._run("wasm_free", size)

    def _run(self, name: str, *arguments: int) -> int:
        return self._exports[name](self._store, *arguments)

    def _last_error(self) -> str:
        size = self._run("wasm_get_last_error_size")
        text = self._bytes(self._run("wasm_get_last_error"), size).decode("utf-8", "replace") if size else "no reason"
        # "Code: 3, Message: ..."; the number is of a list that nobody here reads.
        return re.sub(r"^Code: \d+, Message: ", "", text)

    def _address(self, pointer: int) -> int:
        shared = isinstance(self._memory, wasmtime.SharedMemory)
        base = self._memory.data_ptr() if shared else self._memory.data_ptr(self._store)
        return ctypes.addressof(base.contents) + pointer

    def _bytes(self, pointer: int, size: int) -> bytes:
        return ctypes.string_at(self._address(pointer), size)
