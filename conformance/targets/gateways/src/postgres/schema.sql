-- What the gateway keeps. Two of them may start at once.
SELECT pg_advisory_lock(8888);

CREATE TABLE IF NOT EXISTS queues (
    project text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (project, name)
);

CREATE TABLE IF NOT EXISTS messages (
    -- The order of the queue: posts to one queue are made one after the other.
    rank bigint GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
    project text NOT NULL,
    queue text NOT NULL,
    client text NOT NULL,
    ttl bigint NOT NULL,
    -- As text: jsonb has no "\u0000", and not every number.
    body text NOT NULL,
    posted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- The last claim that held it, live or not.
    claim text,
    claimed_until timestamptz,
    PRIMARY KEY (project, queue, rank)
);

CREATE UNIQUE INDEX IF NOT EXISTS messages_by_rank ON messages (rank);
CREATE INDEX IF NOT EXISTS messages_by_claim ON messages (claim);

CREATE TABLE IF NOT EXISTS claims (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    project text NOT NULL,
    queue text NOT NULL,
    ttl bigint NOT NULL,
    since timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
);

SELECT pg_advisory_unlock(8888);
