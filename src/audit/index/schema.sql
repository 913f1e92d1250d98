-- The index of one ledger. Made from its segments, and made anew whenever they do not fit it: nothing here is evidence.
-- Words (types, reasons, stages, …) are numbers in `words`; the first fifteen are fixed. Times are nanoseconds since 1970.

CREATE TABLE about(
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  ledger TEXT NOT NULL,        -- SHA-256 of the ledger's first line
  first_seq INTEGER NOT NULL,  -- the first entry that is kept, and its time
  first_t INTEGER NOT NULL,
  seq INTEGER NOT NULL,        -- the last entry that is in the index, and its time
  t INTEGER NOT NULL,
  segment INTEGER NOT NULL,    -- where its line begins
  offset INTEGER NOT NULL,
  line INTEGER NOT NULL,
  digest TEXT NOT NULL         -- SHA-256 of its line
) STRICT;

-- Which entries came in one go, and between which times they were written: clocks may step back, numbers never.
CREATE TABLE blocks(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, t_min INTEGER NOT NULL, t_max INTEGER NOT NULL) STRICT;

CREATE TABLE words(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE principals(id INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, type INTEGER NOT NULL) STRICT;
CREATE TABLE field_sets(id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, names TEXT NOT NULL) STRICT;
CREATE TABLE set_fields(field TEXT NOT NULL, field_set INTEGER NOT NULL, PRIMARY KEY(field, field_set)) STRICT, WITHOUT ROWID;
CREATE TABLE policy_lists(id INTEGER PRIMARY KEY, policies TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE list_policies(policy TEXT NOT NULL, list INTEGER NOT NULL, PRIMARY KEY(policy, list)) STRICT, WITHOUT ROWID;

-- A way in which records were treated: sets of fields, by which policies. `whole`: rows that policies would have left out.
CREATE TABLE shapes(
  id INTEGER PRIMARY KEY,
  type INTEGER NOT NULL,
  shown INTEGER NOT NULL,
  hidden INTEGER NOT NULL,
  masked INTEGER NOT NULL,
  policies INTEGER NOT NULL,
  whole INTEGER NOT NULL,
  UNIQUE(type, shown, hidden, masked, policies, whole)
) STRICT;

CREATE TABLE decisions(
  seq INTEGER PRIMARY KEY,
  id ANY NOT NULL,             -- the 16 bytes of a UUID
  t INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  who INTEGER,
  on_behalf_of INTEGER,
  authn INTEGER,
  method INTEGER NOT NULL,
  route INTEGER,
  effect INTEGER NOT NULL,
  reason INTEGER,
  bundle INTEGER NOT NULL,
  directory INTEGER NOT NULL,
  mode INTEGER NOT NULL,
  acts INTEGER NOT NULL,       -- 1 showed fields, 2 is a change, 4 held something back
  end_seq INTEGER,             -- the outcome
  end_offset INTEGER,
  status INTEGER,
  upstream INTEGER,
  released INTEGER,
  delivered INTEGER,
  end_reason INTEGER
) STRICT;
-- Observed requests of which no entry says what they showed.
CREATE INDEX decisions_blind ON decisions(mode) WHERE mode = 6 AND acts & 1 = 0;
CREATE INDEX decisions_id ON decisions(id);
CREATE INDEX decisions_who ON decisions(who);
CREATE INDEX decisions_on_behalf_of ON decisions(on_behalf_of) WHERE on_behalf_of IS NOT NULL;

-- Further lines of a decision: parts, `shown`, `delivery`, `alarm`, `observed`.
CREATE TABLE later(decision INTEGER NOT NULL, seq INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY(decision, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE decided_by(decision INTEGER NOT NULL, list INTEGER NOT NULL, PRIMARY KEY(decision, list)) STRICT, WITHOUT ROWID;

-- Who saw: an empty id is a record without one.
CREATE TABLE seen(
  type INTEGER NOT NULL, id TEXT NOT NULL, decision INTEGER NOT NULL, shape INTEGER NOT NULL,
  PRIMARY KEY(type, id, decision, shape)
) STRICT, WITHOUT ROWID;
-- Who tried to change.
CREATE TABLE written(
  type INTEGER NOT NULL, id TEXT NOT NULL, decision INTEGER NOT NULL, PRIMARY KEY(type, id, decision)
) STRICT, WITHOUT ROWID;
-- What decisions allowed: an action on records of a type, or `writeField` of one field. And in which ways they showed records.
CREATE TABLE permissions(id INTEGER PRIMARY KEY, action INTEGER NOT NULL, subject INTEGER NOT NULL, UNIQUE(action, subject)) STRICT;
CREATE TABLE exercised(decision INTEGER NOT NULL, permission INTEGER NOT NULL, PRIMARY KEY(decision, permission)) STRICT, WITHOUT ROWID;
CREATE TABLE showed(decision INTEGER NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY(decision, shape)) STRICT, WITHOUT ROWID;
-- What did not go through, as decided or later.
CREATE TABLE refused(decision INTEGER NOT NULL, reason INTEGER NOT NULL, PRIMARY KEY(decision, reason)) STRICT, WITHOUT ROWID;
CREATE INDEX refused_reason ON refused(reason, decision);
CREATE TABLE moves(decision INTEGER PRIMARY KEY, from_stage INTEGER, to_stage INTEGER, is_moved INTEGER NOT NULL) STRICT;
CREATE INDEX moves_from ON moves(from_stage);
CREATE INDEX moves_to ON moves(to_stage);

-- Counted, not written one by one: refusals before anyone was identified.
CREATE TABLE refusals(seq INTEGER NOT NULL, t INTEGER NOT NULL, reason INTEGER NOT NULL, source INTEGER NOT NULL, number INTEGER NOT NULL) STRICT;
CREATE INDEX refusals_seq ON refusals(seq);
CREATE TABLE gaps(seq INTEGER PRIMARY KEY, t INTEGER NOT NULL, refused INTEGER NOT NULL) STRICT;

-- Bundles, directories and keys that were offered.
CREATE TABLE revisions(seq INTEGER PRIMARY KEY, t INTEGER NOT NULL, offset INTEGER NOT NULL) STRICT;
-- Who read the ledger.
CREATE TABLE readings(seq INTEGER PRIMARY KEY, t INTEGER NOT NULL, offset INTEGER NOT NULL) STRICT;
