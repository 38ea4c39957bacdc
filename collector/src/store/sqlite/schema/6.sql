-- What emulation costs, over time. Facts hold sums; what each update adds to them is noted here too, in the
-- same transaction. archtrace_facts::cost says which hours it belongs to.

-- By whose it is and by hour (from 1970 on), for as long as names may come late: names are those of the
-- owner, whenever somebody asks. In the order in which it is summed up: a walk over millions of rows needs
-- no sorting. Owners are kept as long as they are needed here.
CREATE TABLE emulated_cpu (
    owner_id INTEGER NOT NULL REFERENCES owner (id),
    hour INTEGER NOT NULL,
    -- The owner's.
    node_id INTEGER NOT NULL REFERENCES node (id),
    -- May go back, where an agent's counter does: all rows are as much as all facts were.
    cpu_ns INTEGER NOT NULL,
    PRIMARY KEY (owner_id, hour)
) STRICT, WITHOUT ROWID;

-- Those that become days, or are too old.
CREATE INDEX emulated_cpu_by_hour ON emulated_cpu (hour);

-- Later by day, under the names that are known then: pods come and go, workloads stay.
CREATE TABLE emulated_cpu_day (
    day INTEGER NOT NULL,
    node_id INTEGER NOT NULL REFERENCES node (id),
    namespace TEXT NOT NULL,
    workload TEXT NOT NULL,
    cpu_ns INTEGER NOT NULL,
    PRIMARY KEY (day, node_id, namespace, workload)
) STRICT, WITHOUT ROWID;

-- What machines nodes are, as the list of nodes said: it stays known when they are gone from it.
CREATE TABLE node_machine (
    node_id INTEGER PRIMARY KEY REFERENCES node (id),
    instance_type TEXT NOT NULL,
    zone TEXT NOT NULL
) STRICT;
