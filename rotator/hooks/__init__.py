"""Owns hooks: programs and addresses that are told what happened, and the dead-man ping; none can harm a rotation.

A hook is told at most once per transition, with retries, and not at all when the process dies first: what is true
stands in Vault, and what happened in the receipts.
"""

from rotator.hooks.courier import DELIVERED, OUTCOMES, Courier, Send
from rotator.hooks.fan import Hooks
from rotator.hooks.ping import Heartbeat

__all__ = ["DELIVERED", "OUTCOMES", "Courier", "Heartbeat", "Hooks", "Send"]
