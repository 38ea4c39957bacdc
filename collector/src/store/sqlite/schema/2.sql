-- How a guest came to its emulator; before this column, there was one way.
ALTER TABLE fact ADD COLUMN via TEXT;
UPDATE fact SET via = 'binfmt_misc' WHERE mode = 'emulated';
ALTER TABLE event ADD COLUMN via TEXT;
UPDATE event SET via = 'binfmt_misc' WHERE mode = 'emulated';

-- Of events, `count` is how many like it the agent had seen; NULL where nobody counted.

-- Of events of kind illegal_instruction, as archtrace_proto::convert encodes it; NULL if nothing is
-- known of it.
ALTER TABLE event ADD COLUMN instruction BLOB;

-- Of changes of handlers, as archtrace_proto::convert encodes it; `arch` is what it claims.
ALTER TABLE event ADD COLUMN handler BLOB;
