-- Times are microseconds since 1970-01-01 UTC in an integer; the views show them as text.
-- `source` says who made a row: the loader ('file'), the API ('api') or the command line ('command').
-- The loader retires and revives only rows with source = 'file'.

create table products (
    id              integer not null primary key check (id > 0),
    name            text    not null check (name <> ''),
    category        text    not null check (category <> ''),
    price_cents     integer not null check (price_cents between 0 and 999999999),
    image_thumbnail text,
    image_mobile    text,
    image_tablet    text,
    image_desktop   text,
    source          text    not null check (source in ('file', 'api', 'command')),
    retired_at      integer,
    created_at      integer not null,
    updated_at      integer not null,
    -- An image has all four renditions or there is none.
    check ((image_thumbnail is null) + (image_mobile is null) + (image_tablet is null) + (image_desktop is null) in (0, 4))
) strict;

create table api_clients (
    id         integer not null primary key,
    name       text    not null unique check (name <> ''),
    source     text    not null check (source in ('file', 'api', 'command')),
    retired_at integer,
    created_at integer not null,
    updated_at integer not null
) strict;

create table api_keys (
    id                 integer not null primary key,
    client_id          integer not null references api_clients (id),
    key_hash           blob  not null unique check (length(key_hash) = 32),
    pepper_fingerprint blob  not null check (length(pepper_fingerprint) = 8),
    scopes             text   not null,
    source             text   not null check (source in ('file', 'api', 'command')),
    expires_at         integer,
    -- Set by a person, for good; retired_at is the loader's and goes away when the key returns to the file.
    revoked_at         integer,
    retired_at         integer,
    last_used_at       integer,
    created_at         integer not null,
    updated_at         integer not null
) strict;

-- `status` has no list of values here: the life of an order grows without a migration.
-- No foreign keys in what is written with an order: client and code were read from this database, their rows are
-- never deleted, and PostgreSQL's check of one key per order costs 15 % of the rate at which orders are stored.
create table orders (
    id         blob   not null primary key,
    client_id  integer not null,
    status     text   not null check (status <> ''),
    version    integer not null check (version > 0),
    created_at integer not null,
    updated_at integer not null,
    snapshot   text   not null check (json_valid(snapshot))
) strict;

-- `value` is in hundredths: of a percent for 'percentage', of the currency unit (cents) for 'fixed'; 0 for 'free_lowest'.
create table promotions (
    code                text    not null primary key check (length(cast(code as blob)) between 1 and 64),
    kind                text    not null check (kind in ('percentage', 'fixed', 'free_lowest')),
    value               integer not null check (value >= 0 and (kind <> 'percentage' or value <= 10000)),
    min_items           integer not null check (min_items >= 0),
    min_subtotal_cents  integer not null check (min_subtotal_cents >= 0),
    max_discount_cents  integer check (max_discount_cents >= 0),
    starts_at           integer,
    ends_at             integer,
    max_uses            integer check (max_uses >= 0),
    max_uses_per_client integer check (max_uses_per_client >= 0),
    active              integer not null check (active in (0, 1)),
    source              text    not null check (source in ('file', 'api', 'command')),
    retired_at          integer,
    created_at          integer not null,
    updated_at          integer not null,
    check (starts_at is null or ends_at is null or starts_at < ends_at)
) strict;

-- No foreign key to orders, here and in idempotency_keys: orders may be partitioned one day.
create table promotion_redemptions (
    order_id       blob   not null primary key,
    promotion_code text   not null,
    client_id      integer not null,
    discount_cents integer not null check (discount_cents >= 0),
    created_at     integer not null
) strict;

-- One mechanism for everything that may be used only so often; apart from the definitions, so that a load keeps the counts.
create table limit_counters (
    name text   not null primary key check (name <> ''),
    used integer not null check (used >= 0)
) strict;

-- A generation becomes the published set when its row in data_loads gets published_at.
create table coupon_codes (
    generation integer not null,
    code       text   not null,
    files      integer not null check (files > 0),
    primary key (generation, code)
) strict, without rowid;

create table idempotency_keys (
    client_id    integer not null,
    key          text   not null check (length(cast(key as blob)) between 1 and 255),
    request_hash blob  not null check (length(request_hash) = 32),
    order_id     blob   not null,
    response     blob  not null,
    created_at   integer not null,
    primary key (client_id, key)
) strict;

create table data_loads (
    data_set     text   not null check (data_set <> ''),
    generation   integer not null check (generation > 0),
    content_hash blob  not null check (length(content_hash) = 32),
    row_count    integer not null check (row_count >= 0),
    started_at   integer not null,
    published_at integer,
    primary key (data_set, generation)
) strict;

-- One row, polled by every API: a number that grew means "read that again".
create table change_counters (
    id         integer not null primary key check (id = 1),
    menu       integer not null,
    api_keys   integer not null,
    promotions integer not null,
    coupons    integer not null
) strict;
insert into change_counters (id, menu, api_keys, promotions, coupons) values (1, 0, 0, 0, 0);

create view order_summaries as
select o.id,
       c.name                                                                as client,
       o.status,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.created_at / 1000000.0, 'unixepoch')  as created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.updated_at / 1000000.0, 'unixepoch')  as updated_at,
       o.snapshot ->> '$.subtotalCents'                                      as subtotal_cents,
       o.snapshot ->> '$.discountCents'                                      as discount_cents,
       o.snapshot ->> '$.totalCents'                                         as total_cents,
       o.snapshot ->> '$.couponCode'                                         as coupon_code
from orders o
join api_clients c on c.id = o.client_id;

create view order_lines as
select o.id                            as order_id,
       l.key + 1                       as position,
       l.value ->> '$.productId'       as product_id,
       l.value ->> '$.name'            as name,
       l.value ->> '$.quantity'        as quantity,
       l.value ->> '$.unitPriceCents'  as unit_price_cents,
       l.value ->> '$.discountCents'   as discount_cents
from orders o, json_each(o.snapshot, '$.lines') l;
