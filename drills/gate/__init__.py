"""`drill gate`: is a change of a gateway's config or version worse than what is there now?

configs -> changes (words)      what differs, and which scenarios that touches
scenarios + budget -> agenda    pure: which run comes next
runs -> trials                  the only I/O: ordinary drills, base and head in turn
trials -> finding               pure: words first, then one number by the two-stage rule
findings -> GateResult          pure: the contract of `drill gate --json`
"""
