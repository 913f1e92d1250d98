-- The two roles that the tables are granted to. Roles are the whole cluster's: whoever may create roles runs this once.
-- People and services log in as members of them: `create role sidecar login password '…' in role lockkeeper_writer;`
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'lockkeeper_writer') then
    create role lockkeeper_writer nologin;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'lockkeeper_auditor') then
    create role lockkeeper_auditor nologin;
  end if;
end
$$;
