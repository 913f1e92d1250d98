-- What each role may do. The writer appends and moves its cursor: it can read no entry, change none and delete none. The auditor
-- only reads. Nobody but the owner can drop a month.
grant usage on schema lockkeeper to lockkeeper_writer, lockkeeper_auditor;
grant select on lockkeeper.migration to lockkeeper_writer, lockkeeper_auditor;
grant select, insert, update (label, seq, line_sha256, updated) on lockkeeper.log to lockkeeper_writer;
grant insert on lockkeeper.entry, lockkeeper.touched, lockkeeper.field_set to lockkeeper_writer;
revoke all on function lockkeeper.ensure_month(date) from public;
grant execute on function lockkeeper.ensure_month(date) to lockkeeper_writer;
grant select on lockkeeper.log, lockkeeper.entry, lockkeeper.touched, lockkeeper.field_set to lockkeeper_auditor;
