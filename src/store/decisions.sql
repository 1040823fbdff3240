-- One row a decision of a policy, where the config wants them kept; the oldest go first.
CREATE TABLE decision (
    kind TEXT NOT NULL,
    function TEXT NOT NULL,
    policy TEXT NOT NULL,
    digest TEXT NOT NULL,
    agents TEXT NOT NULL,           -- names with a space before and behind each
    run TEXT NOT NULL,              -- the run's id, or the trace of a call that is several
    at_ms INTEGER NOT NULL,         -- since 1970
    bytes INTEGER NOT NULL,         -- of what follows, which is read without it
    input TEXT,                     -- JSON; absent where it was too long to be kept
    decision TEXT,                  -- JSON
    error TEXT                      -- why there is none
) STRICT;
