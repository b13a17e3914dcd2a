<?php

// The shop whose day is recorded: small, but its exceptions come from where exceptions come from.

namespace App\Services;

use Illuminate\Database\DatabaseManager;
use RuntimeException;
use Throwable;

class PaymentDeclined extends RuntimeException
{
    /** What Laravel's exception handler adds to the record's context. */
    public function context(): array
    {
        return ['order_id' => 10274, 'gateway' => 'acme', 'amount' => 129.95];
    }
}

class Checkout
{
    public function __construct(private DatabaseManager $database)
    {
    }

    public function reserve(int $order): void
    {
        $this->database->connection()->insert(
            'insert into reservations (order_id, note) values (?, ?)',
            [$order, "for Zoë's birthday"]
        );
    }

    public function pay(int $order, string $card): void
    {
        try {
            $this->charge($card);
        } catch (Throwable $cause) {
            throw new PaymentDeclined("Payment of order $order was declined", 4002, $cause);
        }
    }

    private function charge(string $card): void
    {
        try {
            $this->connect('tls://payments.example.com:443');
        } catch (Throwable $cause) {
            throw new RuntimeException("Gateway: no\n  code: 51\n  text: \"funds\"", 51, $cause);
        }
    }

    private function connect(string $endpoint): void
    {
        throw new \ErrorException("Unable to connect to $endpoint (timed out)");
    }
}
