"""Every history of two actors with a few faults, walked breadth first: nothing is drawn by chance, nothing is left out.

values  what states are made of: kept once, told apart by identity, moved in time as a whole
actor   an actor between two calls: the engine's own reconciler, replayed by the answers that it had
target  a target by its capabilities, as pure functions of its tokens
world   one state of everything, and what a call does to it
judge   I1 to I11 as predicates on states and on what leaves
walk    the states that follow a state; all that can be reached; what settles
"""
