<?php

// Writes one day of a shop's log through Laravel's own log manager and exception handler, to each
// of the channels that a Laravel installation configures.

require_once 'Illuminate/autoload.php';
// Debian ships this component without a loader of its own.
spl_autoload_register(function (string $class): void {
    $file = stream_resolve_include_path(strtr($class, '\\', '/') . '.php');
    if ($file !== false) {
        require_once $file;
    }
});
require_once 'Illuminate/Foundation/helpers.php';
require_once __DIR__ . '/Checkout.php';

use App\Services\Checkout;
use Illuminate\Config\Repository;
use Illuminate\Database\DatabaseServiceProvider;
use Illuminate\Events\EventServiceProvider;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Log\Events\MessageLogged;
use Illuminate\Log\LogServiceProvider;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Facades\Log;
use Monolog\Formatter\JsonFormatter;
use Monolog\Formatter\LogstashFormatter;
use Monolog\Handler\StreamHandler;
use Monolog\Processor\MemoryUsageProcessor;
use Monolog\Processor\UidProcessor;
use Monolog\Processor\WebProcessor;

/** A channel's `tap`: what each request adds to `extra`. */
class AddsRequest
{
    public function __invoke($logger): void
    {
        $logger->pushProcessor(new WebProcessor([
            'REQUEST_URI' => '/checkout/10274?step=pay',
            'REMOTE_ADDR' => '203.0.113.24',
            'REQUEST_METHOD' => 'POST',
            'SERVER_NAME' => 'shop.example.com',
            'HTTP_REFERER' => 'https://shop.example.com/cart',
        ]));
        $logger->pushProcessor(new UidProcessor(12));
        $logger->pushProcessor(new MemoryUsageProcessor());
        $logger->pushProcessor(function (array $record): array {
            $record['extra']['request_id'] = '018f4e2c-9d1b-7c33-a5f0-3b0c1e7a9d42';
            return $record;
        });
    }
}

/** The application as `config/logging.php` of the Laravel skeleton sets it up. */
function application(string $folder): Application
{
    $stream = fn (string $file, string $formatter, array $with) => [
        'driver' => 'monolog',
        'handler' => StreamHandler::class,
        'with' => ['stream' => "$folder/$file"],
        'formatter' => $formatter,
        'formatter_with' => $with,
        'tap' => [AddsRequest::class],
    ];
    $app = new Application('/var/www/shop');
    $app->detectEnvironment(fn () => 'production');
    $app->instance('config', new Repository([
        'app' => ['name' => 'Shop', 'env' => 'production', 'timezone' => 'UTC'],
        'database' => [
            'default' => 'sqlite',
            'connections' => ['sqlite' => ['driver' => 'sqlite', 'database' => ':memory:']],
        ],
        'logging' => ['default' => 'single', 'channels' => [
            'single' => ['driver' => 'single', 'path' => "$folder/laravel.log"],
            'daily' => ['driver' => 'daily', 'path' => "$folder/laravel.log",
                'days' => 14, 'level' => 'info', 'tap' => [AddsRequest::class]],
            'json' => $stream('laravel-json.log', JsonFormatter::class,
                ['includeStacktraces' => true]),
            'logstash' => $stream('laravel-logstash.log', LogstashFormatter::class,
                ['applicationName' => 'shop', 'systemName' => 'web-1']),
            'audit' => ['driver' => 'single', 'path' => "$folder/laravel-audit.log",
                'name' => 'audit', 'level' => 'notice'],
        ]],
    ]));
    Facade::setFacadeApplication($app);
    foreach ([EventServiceProvider::class, LogServiceProvider::class,
        DatabaseServiceProvider::class] as $provider) {
        $app->register($provider);
    }
    // Records of a real application are seldom of one second. The clock that we run under is fast.
    $app->make('events')->listen(MessageLogged::class, fn () => usleep(1_700_000));
    return $app;
}

function every_level(): void
{
    Log::debug('Cache miss', ['key' => 'products:42', 'ttl' => 300]);
    Log::info('User logged in', ['user_id' => 42, 'ip' => '198.51.100.7']);
    Log::notice('Password changed', ['userId' => 42]);
    Log::warning('Slow query', ['sql' => 'select * from orders where id = ?', 'time_ms' => 1834.7]);
    Log::error('Upload failed', ['file' => 'Résumé.pdf', 'bytes' => 5242880, 'retry' => false]);
    Log::critical('Queue is stuck', ['queue' => 'mails', 'depth' => 18211, 'oldest' => null]);
    Log::alert('Disk almost full', ['mount' => '/var', 'free' => ['bytes' => 1048576, 'part' => 0.1]]);
    Log::emergency('Database is unreachable', ['host' => 'db-1.example.com', 'ports' => [3306]]);
}

function awkward_messages(): void
{
    Log::info('No context at all');
    Log::info('');
    Log::info('Order {order} shipped to {city}', ['order' => 10274, 'city' => 'Zürich']);
    Log::info('日本語のログ 🎉 and Ελληνικά, with a tab:' . "\t" . 'and "quotes" and \\ and /');
    Log::info('ends with what looks like context {"level":"fake"} []');
    Log::info('brackets [2026-01-01 00:00:00] production.ERROR: quoted in the middle');
    Log::warning("Comment by a visitor: nice shop\n"
        . '[2026-03-04 00:00:00] production.EMERGENCY: forged header {"user_id":1} ');
    Log::warning("Mail body:\nDear Zoë,\n\n    thank you.\r\nYours\n", ['lines' => 5]);
    Log::info('Context with real newlines', [
        'address' => "Example Street 1\n8000 Zürich",
        'diff' => "--- a\n+++ b\n@@ -1 +1 @@\n-{\"a\": 1}\n+[2026-03-04 00:00:00] local.INFO: x\n",
    ]);
    Log::info('Bytes that are not UTF-8', ['name' => "caf\xe9", 'nul' => "a\0b"]);
    Log::info('Deep', ['a' => ['b' => ['c' => ['d' => ['e' => ['f' => ['g' => 'end']]]]]]]);
    Log::info('Objects', ['when' => new DateTimeImmutable('2026-03-01 08:00:00 +01:00'),
        'class' => new ArrayObject([1, 2]), 'not a number' => NAN, 'big' => PHP_INT_MAX]);
    Log::info('Report of the night: ' . str_repeat('0123456789abcdef', 512));
}

function exceptions(Application $app): void
{
    $checkout = $app->make(Checkout::class);
    $handler = new Handler($app);
    $steps = [
        fn () => $checkout->reserve(10274),
        fn () => $checkout->pay(10274, '4111'),
        fn () => intdiv(1, 0),
        fn () => $app->make('App\Services\Missing'),
        fn () => (function (int $count) {})('many'),
    ];
    foreach ($steps as $step) {
        try {
            $step();
        } catch (Throwable $exception) {
            $handler->report($exception);
        }
    }
    Log::error('Caught and logged by hand', ['exception' => new LogicException('by hand'),
        'user_id' => 42]);
    Log::error(new DomainException('an exception as the message'));
}

date_default_timezone_set('UTC');
$app = application($argv[1]);
foreach (['single', 'daily', 'json', 'logstash'] as $channel) {
    $app->make('log')->setDefaultDriver($channel);
    $app->instance(Psr\Log\LoggerInterface::class, Log::channel($channel));
    every_level();
    awkward_messages();
    exceptions($app);
}
Log::stack(['single', 'audit'])->notice('Role granted', ['by' => 1, 'to' => 42]);
Log::channel('audit')->alert('Two administrators removed', ['users' => [7, 9]]);
