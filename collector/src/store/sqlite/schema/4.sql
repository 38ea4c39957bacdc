-- For fleets: what changes often stands apart from what does not; whoever follows changes finds them
-- by version; conditions on names and sums over nodes need no walk over all.
--
-- PostgreSQL has the same tables. Booleans are spelt TRUE and FALSE, which both take.

-- What nearly every write changes. Rows of nodes are read with every fact, and stay narrow.
CREATE TABLE node_state (
    node_id INTEGER PRIMARY KEY REFERENCES node (id),
    -- The epoch that reports now, and the revision and digest (16 bytes) of its facts: NULL until its
    -- first snapshot.
    epoch INTEGER NOT NULL,
    revision INTEGER,
    digest BLOB NOT NULL,
    -- How often the node was attached: who attached it last may change its facts.
    session INTEGER NOT NULL,
    -- How many changes of it were committed that readers see.
    version INTEGER NOT NULL,
    attached_at INTEGER NOT NULL,
    last_heard INTEGER NOT NULL,
    -- When all that the agent had to tell was stored here. What it counted later may be lost.
    complete_at INTEGER NOT NULL,
    -- As archtrace_proto::convert encodes it; NULL until the agent told.
    health BLOB,
    -- How many rows of fact the node has, and of these emulated and failed ones.
    facts INTEGER NOT NULL,
    emulated_facts INTEGER NOT NULL,
    failed_facts INTEGER NOT NULL
) STRICT;

-- A snapshot has to come: digests of facts from before are not known.
INSERT INTO node_state
SELECT id, epoch, NULL, zeroblob(16), 0, 1, attached_at, last_heard, complete_at, NULL,
  (SELECT COUNT(*) FROM fact WHERE node_id = node.id),
  (SELECT COUNT(*) FROM fact WHERE node_id = node.id AND mode = 'emulated'),
  (SELECT COUNT(*) FROM fact WHERE node_id = node.id AND mode = 'failed')
FROM node;

-- NodeInfo and Preflight, as archtrace_proto::convert encodes them.
CREATE TABLE node_info (
    node_id INTEGER PRIMARY KEY REFERENCES node (id),
    info BLOB NOT NULL,
    preflight BLOB NOT NULL
) STRICT;

INSERT INTO node_info SELECT id, info, preflight FROM node;

-- Whose a cgroup is: of each that a fact or an event names, and of those that agents told of.
CREATE TABLE new_owner (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id INTEGER NOT NULL REFERENCES node (id),
    cgroup TEXT NOT NULL,
    namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    container TEXT NOT NULL,
    workload TEXT NOT NULL,
    image TEXT NOT NULL,
    image_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    -- As archtrace_proto::convert encodes it. What an agent told, else what the cgroup's path says.
    identity BLOB NOT NULL,
    -- When it was told, or found to be needed.
    last_used INTEGER NOT NULL,
    UNIQUE (node_id, cgroup)
) STRICT;

-- The other columns follow from `identity`, which SQL cannot read: the program fills them in.
INSERT INTO new_owner (node_id, cgroup, namespace, pod, container, workload, image, image_id, unit,
  identity, last_used)
SELECT o.node_id, o.cgroup, o.namespace, o.pod, '', '', '', '', '', o.identity, n.last_heard
FROM owner o JOIN node n ON n.id = o.node_id;

INSERT OR IGNORE INTO new_owner (node_id, cgroup, namespace, pod, container, workload, image, image_id,
  unit, identity, last_used)
SELECT f.node_id, f.cgroup, '', '', '', '', '', '', '', x'', n.last_heard
FROM fact f JOIN node n ON n.id = f.node_id;

INSERT OR IGNORE INTO new_owner (node_id, cgroup, namespace, pod, container, workload, image, image_id,
  unit, identity, last_used)
SELECT e.node_id, e.cgroup, '', '', '', '', '', '', '', x'', n.last_heard
FROM event e JOIN node n ON n.id = e.node_id WHERE e.cgroup IS NOT NULL;

DROP TABLE owner;
ALTER TABLE new_owner RENAME TO owner;
-- What people ask for by name. Names of pods are nearly unique, so that one column is enough.
CREATE INDEX owner_by_pod ON owner (pod);
CREATE INDEX owner_by_namespace ON owner (namespace);
CREATE INDEX owner_by_workload ON owner (workload);
CREATE INDEX owner_by_use ON owner (last_used);

CREATE TABLE new_fact (
    -- Never used twice, never changed: pages are cut along it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id INTEGER NOT NULL REFERENCES node (id),
    key_id BLOB NOT NULL,
    -- Has the key's cgroup.
    owner_id INTEGER NOT NULL REFERENCES owner (id),
    binary TEXT NOT NULL,
    path_resolved INTEGER NOT NULL,
    arch TEXT NOT NULL,
    mode TEXT NOT NULL,
    emulator TEXT,
    via TEXT,
    cause TEXT,
    -- Sums over epochs.
    count INTEGER NOT NULL,
    cpu_ns INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    processes INTEGER NOT NULL,
    -- Whether the node's epoch keeps it; FALSE: it is history, and has no processes.
    live INTEGER NOT NULL,
    -- The node's version that changed it last.
    version INTEGER NOT NULL,
    -- The epoch that told of it last, and what that agent's own counters stand at (as in stream ids,
    -- all 64 bits): 0 again after the agent dropped the fact. Those of other epochs are in fact_epoch.
    epoch INTEGER NOT NULL,
    agent_count INTEGER NOT NULL,
    agent_cpu_ns INTEGER NOT NULL,
    UNIQUE (node_id, key_id)
) STRICT;

INSERT INTO new_fact
SELECT f.id, f.node_id, f.key_id, o.id, f.binary, f.path_resolved, f.arch, f.mode, f.emulator, f.via,
  f.cause, f.count, f.cpu_ns, f.first_seen, f.last_seen,
  CASE WHEN f.live_epoch = n.epoch THEN f.processes ELSE 0 END,
  COALESCE(f.live_epoch = n.epoch, FALSE), 1, n.epoch,
  COALESCE(e.agent_count, 0), COALESCE(e.agent_cpu_ns, 0)
FROM fact f JOIN node n ON n.id = f.node_id
  JOIN owner o ON o.node_id = f.node_id AND o.cgroup = f.cgroup
  LEFT JOIN fact_epoch e ON e.fact_id = f.id AND e.epoch = n.epoch;

-- What agents' counters stood at in epochs that are not the fact's last one, should they come back.
CREATE TABLE new_fact_epoch (
    fact_id INTEGER NOT NULL REFERENCES fact (id),
    epoch INTEGER NOT NULL,
    agent_count INTEGER NOT NULL,
    agent_cpu_ns INTEGER NOT NULL,
    PRIMARY KEY (fact_id, epoch)
) STRICT, WITHOUT ROWID;

INSERT INTO new_fact_epoch
SELECT e.fact_id, e.epoch, e.agent_count, e.agent_cpu_ns
FROM fact_epoch e JOIN fact f ON f.id = e.fact_id JOIN node n ON n.id = f.node_id
WHERE e.epoch <> n.epoch AND (e.agent_count <> 0 OR e.agent_cpu_ns <> 0);

DROP TABLE fact_epoch;
DROP TABLE fact;
ALTER TABLE new_fact RENAME TO fact;
ALTER TABLE new_fact_epoch RENAME TO fact_epoch;

-- Nearly all facts are native, nearly all questions are about the others. Each index ends with the
-- row's id, along which answers are ordered.
CREATE INDEX fact_not_native ON fact (mode, live) WHERE mode <> 'native';
CREATE INDEX fact_not_native_by_node ON fact (node_id, mode, processes) WHERE mode <> 'native';
CREATE INDEX fact_running ON fact (live) WHERE processes > 0;
CREATE INDEX fact_by_version ON fact (node_id, live, version);
CREATE INDEX fact_by_owner ON fact (owner_id);
CREATE INDEX fact_ended ON fact (last_seen) WHERE live = FALSE;

CREATE TABLE new_event (
    node_id INTEGER NOT NULL REFERENCES node (id),
    stream_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    -- The node's version that brought it.
    version INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- Of events.
    pid INTEGER,
    comm TEXT,
    errno INTEGER,
    -- Has the key's cgroup.
    owner_id INTEGER REFERENCES owner (id),
    binary TEXT,
    path_resolved INTEGER,
    -- Of changes of handlers: what it claims.
    arch TEXT,
    mode TEXT,
    emulator TEXT,
    via TEXT,
    cause TEXT,
    -- As archtrace_proto::convert encodes it; NULL if nothing is known of it.
    instruction BLOB,
    -- Of changes of handlers, as archtrace_proto::convert encodes it.
    handler BLOB,
    -- Of losses, whose time is when they ended. Of events, `count` is how many like it the agent had
    -- seen; NULL where nobody counted.
    stage TEXT,
    count INTEGER,
    since INTEGER,
    -- Which sequences were lost, the last included; NULL if they had none.
    range_stream INTEGER,
    range_first INTEGER,
    range_last INTEGER,
    PRIMARY KEY (node_id, stream_id, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO new_event
SELECT e.node_id, e.stream_id, e.sequence, 1, e.time, e.kind, e.pid, e.comm, e.errno, o.id, e.binary,
  e.path_resolved, e.arch, e.mode, e.emulator, e.via, e.cause, e.instruction, e.handler, e.stage,
  e.count, e.since, NULL, NULL, NULL
FROM event e LEFT JOIN owner o ON o.node_id = e.node_id AND o.cgroup = e.cgroup;

DROP TABLE event;
ALTER TABLE new_event RENAME TO event;
CREATE INDEX event_by_time ON event (time, node_id, stream_id, sequence);
CREATE INDEX event_by_version ON event (node_id, version);
CREATE INDEX event_by_owner ON event (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX event_by_range ON event (node_id, range_stream) WHERE range_stream IS NOT NULL;

-- Sums over all losses that ever came in, those that are not kept any more included.
CREATE TABLE loss_total (
    node_id INTEGER NOT NULL REFERENCES node (id),
    stage TEXT NOT NULL,
    count INTEGER NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (node_id, stage)
) STRICT, WITHOUT ROWID;

INSERT INTO loss_total
SELECT node_id, stage, CAST(MIN(TOTAL(count), 9223372036854774784) AS INTEGER), COUNT(*)
FROM event WHERE kind = 'loss' GROUP BY node_id, stage;

-- Stream 0 is the collector's own: losses of stage agent_down.
CREATE TABLE new_stream (
    node_id INTEGER NOT NULL REFERENCES node (id),
    stream_id INTEGER NOT NULL,
    -- Where it began for this store: what came before was never promised.
    first_sequence INTEGER NOT NULL,
    -- The first one that is not stored.
    next_sequence INTEGER NOT NULL,
    -- Events and changes of handlers that are stored.
    events INTEGER NOT NULL,
    -- Sequences that were skipped and did not come later, and how many of them losses account for.
    missing INTEGER NOT NULL,
    explained INTEGER NOT NULL,
    -- When something of it was told.
    last_used INTEGER NOT NULL,
    PRIMARY KEY (node_id, stream_id)
) STRICT, WITHOUT ROWID;

INSERT INTO new_stream
SELECT s.node_id, s.stream_id, 0, s.next_sequence, s.events, s.unexplained_gap, 0, n.last_heard
FROM stream s JOIN node n ON n.id = s.node_id;

DROP TABLE stream;
ALTER TABLE new_stream RENAME TO stream;

ALTER TABLE node DROP COLUMN info;
ALTER TABLE node DROP COLUMN preflight;
ALTER TABLE node DROP COLUMN epoch;
ALTER TABLE node DROP COLUMN revision;
ALTER TABLE node DROP COLUMN attached_at;
ALTER TABLE node DROP COLUMN last_heard;
ALTER TABLE node DROP COLUMN complete_at;
CREATE INDEX node_by_name ON node (name);

-- When an agent last told of the image, or it was found to be needed.
ALTER TABLE node_image ADD COLUMN last_used INTEGER NOT NULL DEFAULT 0;
UPDATE node_image SET last_used = last_seen;
CREATE INDEX node_image_by_use ON node_image (last_used);
