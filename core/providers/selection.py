"""Which source serves a symbol: sources.yaml's priorities, or a person's own folder (SPEC DATA-1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.config.sources import FileProvider, Simulator, Sources
from core.config.universe import Universe
from core.errors import InputError
from core.providers.file_import import FileImport
from core.providers.protocol import MarketDataProvider
from core.providers.simulated import SimulatedSource


def configured_providers(sources: Sources, universe: Universe, archive: Path) -> list[MarketDataProvider]:
    """The providers of sources.yaml, highest priority (lowest number) first; file roots are below `archive`."""
    ordered = sorted(sources.providers, key=lambda provider: provider.priority)
    return [
        SimulatedSource(provider, universe)
        if isinstance(provider, Simulator)
        else FileImport(provider, archive / provider.root)
        for provider in ordered
    ]


def folder_providers(sources: Sources, folder: Path, symbols: Sequence[str]) -> list[MarketDataProvider]:
    """The file provider whose layout matches the files of `folder`.

    Raises:
        InputError: the folder is not there, or no layout finds a file with its columns for every symbol.
    """
    if not folder.is_dir():
        raise InputError(
            "DATA_FOLDER_MISSING", "there is no such folder", where=str(folder), remedy="name a folder of bar files"
        )
    layouts = [provider for provider in sources.providers if isinstance(provider, FileProvider)]
    imports = [FileImport(provider, folder) for provider in sorted(layouts, key=lambda each: each.priority)]
    if not imports:
        raise InputError(
            "DATA_SOURCE_LAYOUT",
            "no provider of sources.yaml describes files, so a folder cannot be read",
            where="sources.yaml, providers",
            remedy="add a provider of kind file with the layout of the folder's files",
        )
    with_files = [each for each in imports if any(each.has(symbol) for symbol in symbols)]
    if not with_files:
        names = ", ".join(repr(each.path(symbols[0]).name) for each in imports)
        raise InputError(
            "DATA_FOLDER_EMPTY",
            f"no file of a symbol is there; for {symbols[0]} a file {names} was looked for",
            where=str(folder),
            remedy="mend layout.file_name in sources.yaml, or the symbols of universe.yaml",
        )
    chosen = next((each for each in with_files if any(each.fits(symbol) for symbol in symbols)), with_files[0])
    absent = [symbol for symbol in symbols if not chosen.has(symbol)]
    if absent:
        raise InputError(
            "DATA_FOLDER_SYMBOL",
            f"the folder lacks {', '.join(absent)}",
            where=f"{folder}, e.g. {chosen.path(absent[0]).name}",
            remedy="add the files, or take the symbols and their pairs out of universe.yaml",
        )
    return [chosen]


def provider_of(symbol: str, providers: Sequence[MarketDataProvider]) -> MarketDataProvider:
    """The first provider that has the symbol. Raises InputError where none has."""
    for provider in providers:
        if provider.has(symbol):
            return provider
    raise InputError(
        "DATA_SOURCE_SYMBOL",
        f"no source has bars of {symbol}",
        where=f"sources.yaml, providers {', '.join(provider.name for provider in providers)}",
        remedy="put the symbol's file into a provider's root, name a folder with --data, or mend universe.yaml",
    )
