"""What is known of a credential, what to do next, which calls that takes, and what their answers change.

Standard library only; no await, no clock, no chance. `next_step(credential, record, now, ask)` decides a step, its
procedure asks for calls, which the engine makes, and ends in an event, and `advance(record, event)` takes that in.
Boxes are phases, words on arrows are events:

    +----------------> [settled] <------------- MintRefused, or Burned and given up
    |                      |                                ^
    |                      | Requested                      |
    |                      v                                |
    |                 [requested] --MintLost, NotMinted--> [rejected] --Burned--> [requested], next attempt
    |                      |                                ^  ^
    |                      | Staged                         |  |
    |                      v                                |  |
    |                  [staged] --Rejected------------------+  |
    |                      |                                   |
    |                      | Verified                          |
    |                      v                                   |
    |                 [verified] --Rejected, then Fenced-------+
    |                      |
    |                      | Published (cannot be taken back)
    |                      v
    +-----Disproved-- [published], predecessor in grace
    |     or Swept         |
    |                      | Condemned (cannot be taken back)
    |                      v
    +-----Swept------ [condemned], until Retired: predecessor dead; or LeftToPerson: looked at from anywhere
    [published] <----Reopened-- [settled], in an emergency: a value that was LeftToExpire is revoked once more

    [held] is entered from anywhere by PutOnHold and left by Released. Faulted changes no phase: there is a pause.

secret        the one type that may hold a value       credential    what is wanted
schedule      when a value is due, and back-off        triggers      the named checks that make it due
record        what is known                            steps         what may be decided
decide        next_step                                observation   what was seen: clocks, consumer path, slot
procedures/   the calls of each step, and its event    procedures/calls  what a procedure may ask for
answers       what Vault and a target answer           faults        what may go wrong with that
events        what may have happened                   transitions   how an event changes a record
attempts      the same, of mints; the mint budget      retirement    when a predecessor may go
left_to_date  what could not be revoked                undo          whether a rotation can be taken back
ownership     whose a value or a token is              foreign_journal  evidence of another journal
state         one credential at a glance               messages      an event in words
"""
