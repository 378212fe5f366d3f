-- What all processes must agree on, as one document of JSON; its members are described in docs/shop.md.
create table shop (
    id         integer not null primary key check (id = 1),
    version    integer not null check (version > 0),
    document   text    not null check (json_valid(document)),
    updated_at integer not null
) strict;
insert into shop (id, version, document, updated_at) values (1, 1, '{}', 0);

-- PostgreSQL's programs count locks in it. Here it stays 0.
alter table limit_counters add column version integer not null default 0;
-- Where it is set, the row decides how often it may be used, and not the memory of a process.
alter table limit_counters add column most integer;

-- Secrets that the programs make for themselves, such as the one that addresses of tracking pages are made with.
create table secrets (
    name       text    not null primary key check (name <> ''),
    value      blob    not null check (length(value) = 32),
    created_at integer not null
) strict;

-- Last, because every API reads this table twice a second: it is locked until the migration ends.
alter table change_counters add column shop integer not null default 0;
