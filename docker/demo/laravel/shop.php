<?php

// A shop whose visitors never stop: php shop.php FOLDER writes through Laravel's own log manager, to a
// file of each day, what an application tells of visits, slow payments and failures.

require_once 'Illuminate/autoload.php';
// Debian ships this component without a loader of its own.
spl_autoload_register(function (string $class): void {
    $file = stream_resolve_include_path(strtr($class, '\\', '/') . '.php');
    if ($file !== false) {
        require_once $file;
    }
});
require_once 'Illuminate/Foundation/helpers.php';

use Illuminate\Config\Repository;
use Illuminate\Foundation\Application;
use Illuminate\Log\LogServiceProvider;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Facades\Log;

$folder = $argv[1];
date_default_timezone_set('UTC');
$app = new Application($folder);
$app->detectEnvironment(fn () => 'production');
$app->instance('config', new Repository([
    'app' => ['name' => 'Shop', 'env' => 'production', 'timezone' => 'UTC'],
    'logging' => ['default' => 'daily', 'channels' => [
        'daily' => ['driver' => 'daily', 'path' => "$folder/laravel.log", 'days' => 3],
    ]],
]));
$app->register(LogServiceProvider::class);
Facade::setFacadeApplication($app);

function pay(int $order): void
{
    if (random_int(0, 19) === 0) {
        throw new RuntimeException("Payment of order $order was declined", 51);
    }
}

for ($order = 1; ; $order++) {
    try {
        $milliseconds = random_int(20, 900);
        pay($order);
        $context = ['order' => $order, 'user_id' => random_int(1, 100), 'ms' => $milliseconds];
        if ($milliseconds > 800) {
            Log::warning("Payment of order $order was slow", $context);
        } else {
            Log::info("Order $order was paid", $context);
        }
    } catch (RuntimeException $exception) {
        Log::error("Order $order failed", ['exception' => $exception]);
    }
    usleep(500_000);
}
