"""The command that brings public weights to this machine."""

from __future__ import annotations

import argparse
import sys

from limecraft_jax import models
from limecraft_jax.files import results
from limecraft_jax.models import hub, installed, pace
from limecraft_jax.models.card import ModelCard, folder
from limecraft_jax.types import InputError


def download(given: argparse.Namespace) -> None:
    """Fetch the weights of a model, or take them from a file, and say where they are."""
    card = models.card(given.name)
    if given.file or (card.source and not hub.find(card)):
        results.folder(folder(), "the environment variable LIMECRAFT_JAX_CACHE")
    if given.accept and not given.file:
        raise InputError(
            "--accept needs --file, got no file: name the one that you have looked at."
        )
    if given.file:
        path = hub.adopt(card, given.file, given.accept)
    else:
        path = hub.fetch(card, None if given.quiet else Bytes())
    print(f"{card.name}: {path}")
    print(f"sha256 {hub.fingerprint(card)}")
    if card.source and not card.source.sha256:
        print("Its publisher names no hash that we know of, so nobody has vouched for this one.")
    print(f"On this machine: {speed(card)}.")


def speed(card: ModelCard) -> pace.Pace:
    """How fast a downloaded model is here, measured and remembered; so it is opened once, too."""
    pace.keep_compiled()
    return pace.measure(hub.load(card.name))


def state(card: ModelCard) -> str:
    """One line on the weights of a model: size, terms, origin, and whether they are here."""
    if card.source is None:
        return f"bundled, {card.license}"
    keeper = installed if card.source.package else hub
    here, known = keeper.find(card), pace.recall(card)
    told = [f"{round(card.source.size / 1e6)} MB", card.license, f"package {card.source.package}"]
    if keeper is hub:
        told = [f"{hub.megabytes(card)} MB", card.license, f"{hub.HUB}/{card.source.repository}"]
    told += [f"runs in about {card.memory} MB of memory"] * bool(card.memory)
    told += [str(known)] * bool(known)
    how = f"not here yet: {hub.COMMAND} {card.name}"
    if keeper is installed:
        how = f"not here: {installed.command(card)}"
    where = f"here: {here}" if here else how
    return "; ".join([*told, where])


class Bytes:
    """A progress bar on standard error for a file on its way."""

    def __init__(self, stream=None, width: int = 30):
        self.stream, self.width, self.shown = stream or sys.stderr, width, -1

    def __call__(self, done: int, total: int) -> None:
        """Draw how much is here; `total` is 0 if nobody knows."""
        if done // 10**5 == self.shown and done != total:
            return  # ten times in a megabyte will do
        self.shown = done // 10**5
        full = self.width * done // total if total else 0
        of = f"/{total / 1e6:.1f}" if total else ""
        bar = f"[{'#' * full}{'.' * (self.width - full)}]"
        self.stream.write(f"\r{bar} {done / 1e6:.1f}{of} MB")
        self.stream.write("\n" if done == total else "")
        self.stream.flush()
