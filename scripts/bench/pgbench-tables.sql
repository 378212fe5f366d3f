create table bench_orders (
    id         bigint generated always as identity primary key,
    client_id  bigint not null,
    status     text not null,
    created_at timestamptz not null,
    total      bigint not null
);
create table bench_lines (
    order_id   bigint not null references bench_orders (id),
    product_id bigint not null,
    quantity   integer not null,
    price      bigint not null
);
