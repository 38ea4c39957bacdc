-- The tables of SQLite's schema 5, with the same meaning: ../../sqlite/schema/5.sql explains them.

CREATE TABLE IF NOT EXISTS standing (
    agent TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    status TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (agent, cluster, node)
);

CREATE TABLE IF NOT EXISTS past_standing (
    agent TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (agent, cluster, node, since)
);
CREATE INDEX IF NOT EXISTS past_standing_by_end ON past_standing (until);
