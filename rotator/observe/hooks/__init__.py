"""Hooks: programs and addresses that are called on transitions, and the dead-man ping.

A hook hears of a transition at most once, with retries, and not at all when the process dies first: Vault and the
receipts are the truth. No hook can disturb a rotation.
"""

from rotator.observe.hooks.delivery import DELIVERED, OUTCOMES, Heartbeat, HookDelivery, Hooks, Send

__all__ = ["DELIVERED", "OUTCOMES", "Heartbeat", "HookDelivery", "Hooks", "Send"]
