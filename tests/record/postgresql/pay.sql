\set id 42
UPDATE orders SET note = 'paid' WHERE id = :id;
