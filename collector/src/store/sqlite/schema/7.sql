-- Nodes that are gone for good. Nothing that an earlier version reads or writes has another meaning: columns
-- have defaults, so that its statements still hold.

-- The session at which the node was forgotten: it is so while that is its session, and whoever attaches it, of
-- whichever version, takes that back.
ALTER TABLE node_state ADD COLUMN forgotten_session INTEGER NOT NULL DEFAULT -1;
-- The node's version by which it was forgotten last: what came up to then is of a life before.
ALTER TABLE node_state ADD COLUMN began INTEGER NOT NULL DEFAULT 0;

-- Sums over all time of nodes of which nothing is kept any more: losses by stage, and sequences that nobody
-- explained.
CREATE TABLE forgotten (
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    count INTEGER NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (kind, stage)
) STRICT, WITHOUT ROWID;

-- A row of node that goes is looked for here.
CREATE INDEX emulated_cpu_by_node ON emulated_cpu (node_id);
CREATE INDEX emulated_cpu_day_by_node ON emulated_cpu_day (node_id);

-- The oldest schema whose programs work with this one too.
CREATE TABLE schema_works_with (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    oldest INTEGER NOT NULL
) STRICT;
INSERT INTO schema_works_with VALUES (1, 6);
