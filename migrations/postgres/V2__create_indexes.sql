create index orders_by_client on orders (client_id, id desc);
create index api_keys_by_client on api_keys (client_id);
create index promotion_redemptions_by_code on promotion_redemptions (promotion_code);
create index idempotency_keys_by_age on idempotency_keys (created_at);
