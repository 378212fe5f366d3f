with placed as (
    insert into bench_orders (client_id, status, created_at, total) values (1, 'placed', now(), 3597) returning id
)
insert into bench_lines (order_id, product_id, quantity, price)
select placed.id, line.product, line.quantity, line.price
from placed, (values (1, 2, 1299), (3, 1, 999)) as line (product, quantity, price);
