-- A shop that trades whenever `trade` is called.
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL,
  amount numeric(10, 2) NOT NULL,
  state text NOT NULL DEFAULT 'new',
  ordered_at timestamptz NOT NULL DEFAULT now()
);

-- A demonstration may run for weeks: what is old goes.
CREATE PROCEDURE trade() LANGUAGE sql AS $$
  INSERT INTO orders (customer, amount)
  VALUES ('customer ' || floor(random() * 100), round((5 + random() * 200)::numeric, 2));
  UPDATE orders SET state = 'paid'
  WHERE id = (SELECT min(id) FROM orders WHERE state = 'new' AND ordered_at < now() - interval '5 s');
  DELETE FROM orders WHERE ordered_at < now() - interval '1 hour';
$$;
