"""The thinking: what is known of a credential, what to do next, what an outcome changes. Doing it is engine's.

Standard library only; no await, no clock, no chance. `next_step(credential, record, now, ask)` decides a step, the
engine performs it, and `advance(record, event)` takes in the outcome. Boxes are phases, words on arrows are events:

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
    +-----Swept------ [condemned], until Retired: predecessor dead

    [held] is entered from anywhere by PutOnHold and left by Released. Faulted changes no phase: there is a pause.

secret      the one type that may hold a value      reference   where a secret is to be found
credential  what is wanted                          record      what is known
schedule    when a value is due                     why         the named checks that make it due
ask         `rotate now`, and what answers it       names       mint names, made and read
steps       what may be asked of the engine         events      what may have happened
decide      next_step                               advance     how an event changes a record
retire      when a predecessor may go               backoff     how long to wait after failures
recognise   what a value found in Vault is to us    strays      tokens that no record accounts for
summary     a credential in sentences               telling     an event in words
"""
