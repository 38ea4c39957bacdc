-- The tables and columns of SQLite's schema 7, with the same meaning: ../../sqlite/schema/7.sql explains them.
-- Collectors of the version before go on meanwhile. Columns with a constant default are added without a look at
-- the rows.

ALTER TABLE node_state ADD COLUMN IF NOT EXISTS forgotten_session BIGINT NOT NULL DEFAULT -1;
ALTER TABLE node_state ADD COLUMN IF NOT EXISTS began BIGINT NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS forgotten (
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    count BIGINT NOT NULL,
    records BIGINT NOT NULL,
    PRIMARY KEY (kind, stage)
);

CREATE TABLE IF NOT EXISTS schema_works_with (
    id BIGINT PRIMARY KEY,
    oldest BIGINT NOT NULL
);
INSERT INTO schema_works_with (id, oldest) VALUES (1, 3) ON CONFLICT (id) DO NOTHING;
