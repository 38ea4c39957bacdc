-- Whose a cgroup is, where more is known than its path says. Facts and events name their cgroup, and
-- keep their names when it is gone.
CREATE TABLE owner (
    node_id INTEGER NOT NULL REFERENCES node (id),
    cgroup TEXT NOT NULL,
    namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    -- As archtrace_proto::convert encodes it.
    identity BLOB NOT NULL,
    PRIMARY KEY (node_id, cgroup)
) STRICT, WITHOUT ROWID;

CREATE INDEX owner_by_pod ON owner (namespace, pod);

-- These were always empty.
ALTER TABLE fact DROP COLUMN namespace;
ALTER TABLE fact DROP COLUMN pod;
ALTER TABLE fact DROP COLUMN container;
ALTER TABLE event DROP COLUMN namespace;
ALTER TABLE event DROP COLUMN pod;
ALTER TABLE event DROP COLUMN container;

-- What is known of an image holds on every node: it is named by its digest.
CREATE TABLE image (
    -- Never used twice, never changed: pages are cut along it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    -- Its names, one a line, for looking for parts of them.
    names TEXT NOT NULL,
    -- How many files were looked at; NULL while none were.
    audited_files INTEGER,
    -- As archtrace_proto::convert encodes it.
    info BLOB NOT NULL
) STRICT;

-- Which nodes have containers of it, or had.
CREATE TABLE node_image (
    image_id INTEGER NOT NULL REFERENCES image (id),
    node_id INTEGER NOT NULL REFERENCES node (id),
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (image_id, node_id)
) STRICT, WITHOUT ROWID;
