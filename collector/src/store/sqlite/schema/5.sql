-- How it is with each agent that a policy mandates on each node, and since when: what collectors found, not
-- what agents told. A node on which an agent has to run need not have reported, so nodes go by their names.
CREATE TABLE standing (
    agent TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    status TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (agent, cluster, node)
) STRICT, WITHOUT ROWID;

-- How it was.
CREATE TABLE past_standing (
    agent TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (agent, cluster, node, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX past_standing_by_end ON past_standing (until);
