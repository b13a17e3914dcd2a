-- A shop that trades by itself: the server's own scheduler buys, pays and cancels.
GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO 'tahoe'@'%';

CREATE TABLE shop.orders (
  id BIGINT PRIMARY KEY AUTO_INCREMENT,
  customer VARCHAR(40) NOT NULL,
  amount DECIMAL(10, 2) NOT NULL,
  state ENUM('new', 'paid', 'cancelled') NOT NULL DEFAULT 'new',
  ordered_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
);

CREATE EVENT shop.buy ON SCHEDULE EVERY 2 SECOND DO
  INSERT INTO shop.orders (customer, amount)
  VALUES (CONCAT('customer ', FLOOR(RAND() * 100)), ROUND(5 + RAND() * 200, 2));

CREATE EVENT shop.pay ON SCHEDULE EVERY 3 SECOND DO
  UPDATE shop.orders SET state = 'paid' WHERE state = 'new' ORDER BY id LIMIT 1;

-- A demonstration may run for weeks: what is old goes.
CREATE EVENT shop.forget ON SCHEDULE EVERY 1 MINUTE DO
  DELETE FROM shop.orders WHERE ordered_at < NOW() - INTERVAL 1 HOUR;
