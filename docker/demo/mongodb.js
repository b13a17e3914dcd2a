// A shop that trades until its container stops. What is old goes, since it may run for weeks.
const orders = db.getSiblingDB("shop").orders;
while (true) {
  const now = new Date();
  const amount = Number((5 + Math.random() * 200).toFixed(2));
  const customer = `customer ${Math.floor(Math.random() * 100)}`;
  orders.insertOne({customer, amount, state: "new", ordered_at: now});
  orders.updateOne({state: "new", ordered_at: {$lt: new Date(now - 5000)}}, {$set: {state: "paid"}});
  orders.deleteMany({ordered_at: {$lt: new Date(now - 3600000)}});
  sleep(2000);
}
