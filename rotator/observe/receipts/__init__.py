"""Receipts: every transition as one line of an append-only file, each line carrying the SHA-256 of the one before.

A chain shows what was changed before its end; that the end itself was cut off, or that all of it was made anew, shows
only against a head noted elsewhere. The daemon logs its head for that purpose, and `rotate receipts verify` takes it.
"""

from __future__ import annotations

from rotator.observe.receipts.chain import START, ChainFault, ChainVerdict, parse, verify
from rotator.observe.receipts.receipt_file import ReceiptFile, ReceiptsError
from rotator.observe.receipts.setup import keep, unfit
from rotator.observe.receipts.writer import Receipts

__all__ = [
    "START",
    "ChainFault",
    "ChainVerdict",
    "ReceiptFile",
    "Receipts",
    "ReceiptsError",
    "keep",
    "parse",
    "unfit",
    "verify",
]
