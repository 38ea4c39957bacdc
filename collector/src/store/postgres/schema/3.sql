-- The tables of SQLite's schema 6, with the same meaning: ../../sqlite/schema/6.sql explains them.

CREATE TABLE IF NOT EXISTS emulated_cpu (
    owner_id BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    cpu_ns BIGINT NOT NULL,
    PRIMARY KEY (owner_id, hour)
);
CREATE INDEX IF NOT EXISTS emulated_cpu_by_hour ON emulated_cpu (hour);

CREATE TABLE IF NOT EXISTS emulated_cpu_day (
    day BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    -- A hash of the names: an index takes some 2,700 bytes a row at most, and names may be longer.
    names_id BYTEA NOT NULL,
    namespace TEXT NOT NULL,
    workload TEXT NOT NULL,
    cpu_ns BIGINT NOT NULL,
    PRIMARY KEY (day, node_id, names_id)
);

CREATE TABLE IF NOT EXISTS node_machine (
    node_id BIGINT PRIMARY KEY,
    instance_type TEXT NOT NULL,
    zone TEXT NOT NULL
);
