-- One row a dispatch: written when its agent starts, completed when it is over.
CREATE TABLE dispatch (
    id TEXT NOT NULL UNIQUE,        -- the run's; its first 16 digits are the span's
    trace TEXT NOT NULL,            -- the same for all that one call led to
    parent TEXT,                    -- the span of the dispatch whose agent asked
    agent TEXT NOT NULL,
    caller TEXT,
    form TEXT NOT NULL,
    depth INTEGER NOT NULL,
    policy TEXT,
    policy_digest TEXT,
    owner_pid INTEGER NOT NULL,     -- the process that completes it
    owner_started INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,    -- since 1970
    ended_ms INTEGER,
    success INTEGER,
    duration_ms INTEGER,
    cost_usd REAL,
    turns INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_creation_tokens INTEGER,
    outcome TEXT,
    error_type TEXT,
    session_id TEXT,
    cached INTEGER NOT NULL,        -- answered with an earlier answer
    shared INTEGER NOT NULL         -- answered by a run that was on already
) STRICT;

CREATE INDEX dispatch_by_trace ON dispatch (trace);
CREATE INDEX dispatch_by_agent ON dispatch (agent, started_ms);
-- Holds what typical figures are made of, so that they are read from it alone.
CREATE INDEX dispatch_by_start ON dispatch (started_ms, agent, duration_ms, cost_usd, success, error_type);
