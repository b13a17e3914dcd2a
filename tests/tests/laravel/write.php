<?php

// One request of a Laravel application: php write.php FOLDER FROM TO writes the records of these
// numbers through Laravel's own log manager to its channels single, daily and json, and ends, as a
// request does. Numbers of daily begin at 100000, those of json at 200000.

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
use Monolog\Formatter\JsonFormatter;
use Monolog\Handler\StreamHandler;

[, $folder, $from, $to] = $argv;
date_default_timezone_set('UTC');
$app = new Application($folder);
$app->detectEnvironment(fn () => 'production');
$app->instance('config', new Repository([
    'app' => ['name' => 'Shop', 'env' => 'production', 'timezone' => 'UTC'],
    'logging' => ['default' => 'single', 'channels' => [
        'single' => ['driver' => 'single', 'path' => "$folder/laravel.log"],
        'daily' => ['driver' => 'daily', 'path' => "$folder/laravel.log", 'days' => 14],
        'json' => ['driver' => 'monolog', 'handler' => StreamHandler::class,
            'with' => ['stream' => "$folder/json.log"], 'formatter' => JsonFormatter::class,
            'formatter_with' => ['includeStacktraces' => true]],
    ]],
]));
$app->register(LogServiceProvider::class);
Facade::setFacadeApplication($app);

function charge(int $n): void
{
    try {
        throw new ErrorException("Unable to connect for n=$n");
    } catch (ErrorException $cause) {
        throw new RuntimeException("n=$n was declined\n  code: 51\n  text: \"funds\"", 51, $cause);
    }
}

foreach (['single' => 0, 'daily' => 100000, 'json' => 200000] as $channel => $first) {
    for ($n = $first + $from; $n < $first + $to; $n++) {
        if ($n % 5 === 0) {
            try {
                charge($n);
            } catch (RuntimeException $exception) {
                Log::channel($channel)->error("n=$n failed", ['exception' => $exception]);
            }
        } elseif ($n % 5 === 1) {
            Log::channel($channel)->warning("n=$n of a visitor: nice shop\n"
                . "[2026-03-04 00:00:00] no header\n", ['address' => "Street 1\n8000 Zürich"]);
        } else {
            Log::channel($channel)->info("n=$n went well", ['user_id' => $n, 'list' => [1, 2]]);
        }
    }
}
