"""One place composes an actor, and one place saves the journal: so whatever ends a token is told to every observer."""

from __future__ import annotations

import ast
from collections import Counter

from tests.architecture.source import files, short, tree

OWN = "rotator/testing/"  # its kit for authors of kinds has a Vault in memory, and processes to kill in it


def calls(name: str) -> Counter[str]:
    """Where a class or function of ours is called by its name, or a method by it."""
    found: Counter[str] = Counter()
    for path in files("rotator"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
                found[short(path)] += 1
    return found


def test_an_actor_is_composed_in_one_place() -> None:
    assert calls("Actor") == {"rotator/app/composition.py": 1}
    assert calls("Session") == {"rotator/app/factories.py": 1}
    before_there_is_one = {
        "rotator/commands/check.py",
        "rotator/app/vault_fitness.py",
    }  # the latter for `rotate policy`
    assert set(calls("connected")) == {"rotator/app/composition.py", *before_there_is_one}
    assert {path for path in calls("Reconciler") if not path.startswith(OWN)} == {"rotator/app/composition.py"}
    assert calls("_composed") == {"rotator/app/composition.py": 2}, (
        "two forms: acting, with every observer, and reading"
    )


def test_who_hears_of_transitions_is_gathered_in_one_place() -> None:
    for each in ("Hooks", "over_otlp", "keep"):
        assert calls(each) == {"rotator/observe/observers.py": 1}, f"{each}: ask rotator.app for an acting one"


def test_whoever_acts_has_the_observers_of_a_whole_process() -> None:
    assert set(calls("acting")) == {"rotator/app/daemon.py", "rotator/app/standalone.py"}
    assert set(calls("Observers")) == {"rotator/app/daemon.py", "rotator/app/standalone.py"}


def test_only_the_reconciler_saves_the_journal() -> None:
    saved = {
        f"{short(path)}:{node.lineno}"
        for path in files("rotator")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "save"
        and not short(path).startswith(OWN)
    }
    assert len(saved) == 1, (
        f"what changes a record goes through Reconciler.reconcile or Reconciler.obey: {sorted(saved)}"
    )
    assert next(iter(saved)).startswith("rotator/engine/reconciler.py:")


RECORDED = {"mint": 4, "operators": 1, "retire": 1}  # calls for the end of a token, with an event each


def test_only_steps_and_words_revoke() -> None:
    """A token that ends otherwise leaves no receipt. `check` ends what it minted a moment ago, for nobody."""
    allowed = {
        "rotator/engine/procedure_driver.py",
        "rotator/commands/verify.py",
    }
    elsewhere = {path for path in calls("revoke") if path not in allowed}
    inside = ("rotator/providers/", "tests/sandbox/", "rotator/testing/", "tests/sandbox/demo/", "rotator/vault/")
    assert {path for path in elsewhere if not path.startswith(inside)} == set()
    asking = {f"rotator/rotation/procedures/{name}.py": count for name, count in RECORDED.items()}
    assert calls("RevokeToken") == asking, "a procedure that ends a token ends in an event that says so"


def test_what_a_refused_value_means_is_decided_in_one_place() -> None:
    """By comparison with an invalid value and with one that must be accepted: a kind of its own would lack that."""
    judges = {short(path) for path in files("rotator/providers") if "identified(" in path.read_text(encoding="utf-8")}
    assert judges == {"rotator/providers/refusals.py", "rotator/providers/http/client.py"}
