-- Times are nanoseconds since 1970. Epochs and stream ids are unsigned 64-bit numbers, kept as
-- the signed ones with the same bits. Words are spelt as people see them.

CREATE TABLE node (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster TEXT NOT NULL,
    name TEXT NOT NULL,
    arch TEXT NOT NULL,
    -- NodeInfo and Preflight, as archtrace_proto::convert encodes them.
    info BLOB NOT NULL,
    preflight BLOB NOT NULL,
    -- The epoch that reports now, and the revision of its facts: NULL until its first snapshot.
    epoch INTEGER NOT NULL,
    revision INTEGER,
    attached_at INTEGER NOT NULL,
    last_heard INTEGER NOT NULL,
    -- When all that the agent had to tell was stored here. What it counted later may be lost.
    complete_at INTEGER NOT NULL,
    UNIQUE (cluster, name)
) STRICT;

-- Every epoch that a node ever had: a gap between two is told once.
CREATE TABLE epoch (
    node_id INTEGER NOT NULL REFERENCES node (id),
    epoch INTEGER NOT NULL,
    attached_at INTEGER NOT NULL,
    PRIMARY KEY (node_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact (
    -- Never used twice, never changed: pages are cut along it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id INTEGER NOT NULL REFERENCES node (id),
    key_id BLOB NOT NULL,
    cgroup TEXT NOT NULL,
    binary TEXT NOT NULL,
    path_resolved INTEGER NOT NULL,
    arch TEXT NOT NULL,
    mode TEXT NOT NULL,
    emulator TEXT,
    cause TEXT,
    namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    container TEXT NOT NULL,
    -- Sums over fact_epoch, so that a listing does not have to build them.
    count INTEGER NOT NULL,
    cpu_ns INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- As of live_epoch; counts only while that is the node's epoch. NULL: the agent dropped it.
    processes INTEGER NOT NULL,
    live_epoch INTEGER,
    UNIQUE (node_id, key_id)
) STRICT;

-- Nearly all facts are native, nearly all questions are about the others.
CREATE INDEX fact_not_native ON fact (node_id, mode) WHERE mode <> 'native';

CREATE TABLE fact_epoch (
    fact_id INTEGER NOT NULL REFERENCES fact (id),
    epoch INTEGER NOT NULL,
    count INTEGER NOT NULL,
    cpu_ns INTEGER NOT NULL,
    -- Of these, what the agent's own counters stand at: 0 again after the agent dropped the fact.
    agent_count INTEGER NOT NULL,
    agent_cpu_ns INTEGER NOT NULL,
    PRIMARY KEY (fact_id, epoch)
) STRICT, WITHOUT ROWID;

-- Stream 0 is the collector's own: losses of stage agent_down.
CREATE TABLE stream (
    node_id INTEGER NOT NULL REFERENCES node (id),
    stream_id INTEGER NOT NULL,
    next_sequence INTEGER NOT NULL,
    events INTEGER NOT NULL DEFAULT 0,
    unexplained_gap INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (node_id, stream_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    node_id INTEGER NOT NULL REFERENCES node (id),
    stream_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- Of events.
    pid INTEGER,
    comm TEXT,
    errno INTEGER,
    cgroup TEXT,
    binary TEXT,
    path_resolved INTEGER,
    arch TEXT,
    mode TEXT,
    emulator TEXT,
    cause TEXT,
    namespace TEXT,
    pod TEXT,
    container TEXT,
    -- Of losses, whose time is when they ended.
    stage TEXT,
    count INTEGER,
    since INTEGER,
    PRIMARY KEY (node_id, stream_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_by_time ON event (time, node_id, stream_id, sequence);
CREATE INDEX event_loss ON event (node_id, stage, count) WHERE kind = 'loss';
