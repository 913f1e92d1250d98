-- Version 1: every line of every log, and what the questions of auditors need to find it.
create schema lockkeeper;

create table lockkeeper.migration (
  version integer primary key,
  applied timestamptz not null default now()
);

-- One row for each log: how far the store has come. Its row is locked while a batch is written, in the same transaction.
create table lockkeeper.log (
  log         text primary key check (log ~ '^[0-9a-f]{16}$'),
  label       text,
  first_seq   bigint not null check (first_seq >= 1),
  seq         bigint not null check (seq >= first_seq - 1),
  line_sha256 text not null check (line_sha256 ~ '^([0-9a-f]{64})?$'),
  updated     timestamptz not null default now()
);

-- Every line as it was written, by month. `t` follows from (log, seq), so that a line has one place.
create table lockkeeper.entry (
  log        text        not null,
  seq        bigint      not null,
  t          timestamptz not null,
  kind       text        not null,
  decision   text,                         -- the decision that it is, or is about
  part       integer     not null,         -- 1, or which further line of one entry it is
  handle     text,                         -- of a decision: the principal
  method     text,
  route      text,
  effect     text,
  reason     text,
  stage_from text,
  stage_to   text,
  delivered  text,                         -- of an outcome
  line       text        not null,
  primary key (log, seq, t)
) partition by range (t);

create index entry_decision on lockkeeper.entry (decision) where decision is not null;
create index entry_handle on lockkeeper.entry (handle, t) where handle is not null;
create index entry_refused on lockkeeper.entry (handle, t) where handle is not null and effect <> 'allow';
create index entry_stage on lockkeeper.entry (t) where stage_from is not null or stage_to is not null;

-- Which records an entry names, and what was made of them: one row for each group of records.
create table lockkeeper.touched (
  log      text        not null,
  seq      bigint      not null,
  t        timestamptz not null,
  n        integer     not null,           -- the group's number within the entry
  decision text,                           -- the decision that the entry is, or is about
  place    text        not null,           -- the member that names it: access, sets or rows_hidden
  type     text        not null,
  records  text[]      not null,           -- see record_key
  action   text,
  effect   text,
  shown    text,                           -- ids of field sets
  masked   text,
  hidden   text,
  primary key (log, seq, n, t)
) partition by range (t);

create index touched_records on lockkeeper.touched using gin (records) with (fastupdate = off);

-- An id is made of its names: the same in every log.
create table lockkeeper.field_set (
  set   text primary key,
  names text[] not null
);

-- How records are spelled in `records`. Ids that are too long for an index stand there by their hash.
create function lockkeeper.record_key(type text, id text) returns text
language sql immutable as $$
  select type || ':' || case
    when octet_length(id) <= 256 then id
    else '~' || encode(sha256(convert_to(id, 'UTF8')), 'hex')
  end
$$;

-- Makes the partitions of a month. With the owner's rights: the writer may do this and no other change to tables. Attaching
-- does not wait for those who read.
create function lockkeeper.ensure_month(day date) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  month  timestamp := date_trunc('month', day::timestamp);
  suffix text      := to_char(month, 'YYYY_MM');
  name   text;
begin
  -- One at a time, so that two writers do not make the same month.
  perform pg_advisory_xact_lock(7236816, 1);
  foreach name in array array['entry', 'touched'] loop
    if to_regclass(format('lockkeeper.%I', name || '_' || suffix)) is null then
      execute format(
        'create table lockkeeper.%I (like lockkeeper.%I including defaults including constraints)',
        name || '_' || suffix, name);
      execute format(
        'alter table lockkeeper.%I attach partition lockkeeper.%I for values from (%L) to (%L)',
        name, name || '_' || suffix,
        to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
    end if;
  end loop;
end
$$;

-- Who saw a field of a record, and when: select * from lockkeeper.who_saw('Deal', '42', 'Deal.margin');
create function lockkeeper.who_saw(
  record_type text, record_id text, field text,
  since timestamptz default '-infinity', until timestamptz default 'infinity'
) returns table (
  t timestamptz, handle text, masked boolean, route text, delivered text, decision text, log text, seq bigint
) language sql stable set jit = off as $$
  select s.t, d.handle, not exists (
           select from lockkeeper.field_set f where f.set = s.shown and field = any (f.names)),
         d.route, o.delivered, s.decision, s.log, s.seq
  from lockkeeper.touched s
  join lockkeeper.entry d
    on d.decision = s.decision and d.log = s.log and d.kind = 'decision' and d.part = 1
  left join lockkeeper.entry o
    on o.decision = s.decision and o.log = s.log and o.kind = 'outcome' and o.part = 1
  where s.records @> array[lockkeeper.record_key(record_type, record_id)]
    and s.place = 'sets' and s.t >= since and s.t < until
    and exists (
      select from lockkeeper.field_set f where f.set = any (array[s.shown, s.masked]) and field = any (f.names))
  order by s.t, s.log, s.seq
$$;

-- All that a principal saw, changed or was refused, one row for each group of records: select * from lockkeeper.of_principal('p_…').
create function lockkeeper.of_principal(
  handle text,
  since timestamptz default '-infinity', until timestamptz default 'infinity'
) returns table (
  t timestamptz, effect text, reason text, method text, route text, place text, action text, records text[],
  shown text[], masked text[], hidden text[], decision text, log text, seq bigint
) language sql stable set jit = off as $$
  select e.t, coalesce(s.effect, d.effect), d.reason, d.method, d.route, s.place, s.action, s.records,
         (select f.names from lockkeeper.field_set f where f.set = s.shown),
         (select f.names from lockkeeper.field_set f where f.set = s.masked),
         (select f.names from lockkeeper.field_set f where f.set = s.hidden),
         d.decision, e.log, e.seq
  from lockkeeper.entry d
  join lockkeeper.entry e on e.decision = d.decision and e.log = d.log
  left join lockkeeper.touched s on s.log = e.log and s.seq = e.seq and s.t = e.t
  where d.handle = of_principal.handle and d.t >= since and d.t < until and d.part = 1
    and (e.seq = d.seq or s.n is not null)
  order by e.t, e.log, e.seq, s.n
$$;

-- What a principal was refused: select * from lockkeeper.refused_to('p_…').
create function lockkeeper.refused_to(
  handle text,
  since timestamptz default '-infinity', until timestamptz default 'infinity'
) returns table (
  t timestamptz, effect text, reason text, method text, route text, decision text, log text, seq bigint
) language sql stable set jit = off as $$
  select e.t, e.effect, e.reason, e.method, e.route, e.decision, e.log, e.seq
  from lockkeeper.entry e
  where e.handle = refused_to.handle and e.effect <> 'allow' and e.t >= since and e.t < until and e.part = 1
  order by e.t, e.log, e.seq
$$;

-- Moves between stages, asked for and refused ones too: select * from lockkeeper.stage_moves('2026-07-01', '2026-10-01', 'sales').
create function lockkeeper.stage_moves(
  since timestamptz default '-infinity', until timestamptz default 'infinity', pipeline text default null
) returns table (
  t timestamptz, handle text, effect text, reason text, records text[], stage_from text, stage_to text,
  delivered text, decision text, log text, seq bigint
) language sql stable set jit = off as $$
  select e.t, e.handle, e.effect, e.reason,
         (select s.records from lockkeeper.touched s
          where s.log = e.log and s.seq = e.seq and s.t = e.t and s.action = 'moveStage' order by s.n limit 1),
         e.stage_from, e.stage_to, o.delivered, e.decision, e.log, e.seq
  from lockkeeper.entry e
  left join lockkeeper.entry o
    on o.decision = e.decision and o.log = e.log and o.kind = 'outcome' and o.part = 1
  where (e.stage_from is not null or e.stage_to is not null) and e.kind = 'decision' and e.part = 1
    and e.t >= since and e.t < until
    and (pipeline is null or starts_with(coalesce(e.stage_to, e.stage_from), pipeline || '.'))
  order by e.t, e.log, e.seq
$$;
