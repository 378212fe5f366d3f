-- What all processes must agree on, as one document of JSON; its members are described in docs/shop.md.
create table shop (
    id         bigint not null primary key check (id = 1),
    version    bigint not null check (version > 0),
    document   json   not null,
    updated_at bigint not null
);
insert into shop (id, version, document, updated_at) values (1, 1, '{}', 0);

-- Changes with every transaction that locks the counter, so that a counter which one session holds differs from one
-- that many orders use.
alter table limit_counters add column version bigint not null default 0;
-- Where it is set, the row decides how often it may be used, and not the memory of a process.
alter table limit_counters add column most bigint;

-- Secrets that the programs make for themselves, such as the one that addresses of tracking pages are made with.
create table secrets (
    name       text   not null primary key check (name <> ''),
    value      bytea  not null check (octet_length(value) = 32),
    created_at bigint not null
);

-- Last, because every API reads this table twice a second: it is locked until the migration ends.
alter table change_counters add column shop bigint not null default 0;
