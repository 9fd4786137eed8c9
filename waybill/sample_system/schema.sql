-- The customer system of Veldhaven. What must never be wrong is a constraint here, whatever the programs above do.

CREATE TABLE IF NOT EXISTS calendar (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  today date NOT NULL
);

CREATE TABLE IF NOT EXISTS customers (
  id text PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('consumer', 'account')),
  city text NOT NULL,
  since date NOT NULL
);

CREATE TABLE IF NOT EXISTS orders (
  id text PRIMARY KEY,
  customer_id text NOT NULL REFERENCES customers,
  placed_on date NOT NULL,
  service text NOT NULL CHECK (service IN ('standard', 'express_24', 'express_12')),
  state text NOT NULL CHECK (state IN ('booked', 'in_transit', 'delivered', 'cancelled', 'returned', 'lost')),
  base_price numeric(12, 2) NOT NULL CHECK (base_price > 0),
  fuel_surcharge numeric(12, 2) NOT NULL CHECK (fuel_surcharge >= 0),
  options_price numeric(12, 2) NOT NULL CHECK (options_price >= 0),
  times_charged integer NOT NULL DEFAULT 1 CHECK (times_charged IN (1, 2)),
  paid numeric(12, 2) NOT NULL,
  refunded numeric(12, 2) NOT NULL DEFAULT 0,
  CHECK (paid = (base_price + fuel_surcharge + options_price) * times_charged),
  CONSTRAINT refunded_within_paid CHECK (refunded >= 0 AND refunded <= paid)
);
CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer_id, placed_on DESC, id DESC);

CREATE TABLE IF NOT EXISTS shipments (
  tracking text PRIMARY KEY,
  order_id text NOT NULL UNIQUE REFERENCES orders,
  status text NOT NULL
    CHECK (status IN ('LBL', 'COL', 'SRT', 'TRN', 'DEP', 'OFD', 'ATT', 'HLD', 'DLV', 'RTS', 'LST')),
  recipient text NOT NULL,
  street text NOT NULL,
  postcode text NOT NULL,
  city text NOT NULL,
  country text NOT NULL,
  promised_on date NOT NULL,
  first_attempt_on date,
  delivered_on date,
  last_scan_on date,
  last_scan_town text NOT NULL,
  declared_value numeric(12, 2) NOT NULL CHECK (declared_value >= 0),
  address_changes integer NOT NULL DEFAULT 0 CHECK (address_changes BETWEEN 0 AND 2),
  previous_address jsonb
);

CREATE TABLE IF NOT EXISTS refunds (
  id text PRIMARY KEY,
  order_id text NOT NULL REFERENCES orders,
  reason text NOT NULL CHECK (reason IN
    ('express_late', 'standard_late', 'lost', 'unused_label', 'charged_twice', 'option_not_performed', 'goodwill')),
  amount numeric(12, 2) NOT NULL CHECK (amount > 0),
  method text NOT NULL CHECK (method IN ('payment', 'credit')),
  state text NOT NULL DEFAULT 'approved' CHECK (state IN ('approved', 'paid_out', 'voided')),
  made_on date NOT NULL,
  idempotency_key text UNIQUE
);
CREATE INDEX IF NOT EXISTS refunds_order ON refunds (order_id);
-- One reason is refunded once, even by two programs at the same moment.
CREATE UNIQUE INDEX IF NOT EXISTS refunds_once ON refunds (order_id, reason) WHERE state <> 'voided';

CREATE TABLE IF NOT EXISTS tickets (
  id text PRIMARY KEY,
  customer_id text NOT NULL REFERENCES customers,
  order_id text REFERENCES orders,
  kind text NOT NULL CHECK (kind IN ('claim', 'investigation', 'complaint', 'billing', 'returns', 'address', 'other')),
  summary text NOT NULL CHECK (length(summary) BETWEEN 1 AND 500),
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'withdrawn')),
  made_on date NOT NULL,
  idempotency_key text UNIQUE
);
CREATE INDEX IF NOT EXISTS tickets_customer ON tickets (customer_id);

CREATE TABLE IF NOT EXISTS messages (
  id text PRIMARY KEY,
  customer_id text NOT NULL REFERENCES customers,
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 10000),
  sent_on date NOT NULL,
  idempotency_key text UNIQUE
);

-- What every tool with an effect did under the key it was called with; the same key again gets the same answer.
CREATE TABLE IF NOT EXISTS operations (
  idempotency_key text PRIMARY KEY CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  tool text NOT NULL,
  arguments_digest bytea NOT NULL,
  answer jsonb,
  done_at timestamptz NOT NULL DEFAULT now()
);
