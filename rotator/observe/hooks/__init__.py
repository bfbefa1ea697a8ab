"""Hooks: programs and addresses that are told what happened, and the dead-man ping; none can harm a rotation.

A hook is told at most once per transition, with retries, and not at all when the process dies first: what is true
stands in Vault, and what happened in the receipts.
"""

from rotator.observe.hooks.delivery import DELIVERED, OUTCOMES, HookDelivery, Send
from rotator.observe.hooks.dispatch import Hooks
from rotator.observe.hooks.ping import Heartbeat

__all__ = ["DELIVERED", "OUTCOMES", "Heartbeat", "HookDelivery", "Hooks", "Send"]
