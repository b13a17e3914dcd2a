//! Laravel's `single` and `daily` channels: Monolog's line format with the context as JSON, and
//! exceptions with real line ends in it.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};

/// Of a thousand records this many are exceptions with their stack trace: a kilobyte or two each.
const TRACES_IN_THOUSAND: u64 = 5;

const LEVELS: [(u64, &str); 5] =
    [(60, "INFO"), (16, "DEBUG"), (12, "WARNING"), (10, "ERROR"), (2, "CRITICAL")];
const MODELS: [&str; 8] =
    ["Invoice", "Shipment", "Customer", "Booking", "Voucher", "Refund", "Basket", "Supplier"];
const THROWN: [(&str, &str, &str); 4] = [
    (
        r"Illuminate\\Database\\QueryException",
        "23000",
        "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry for key",
    ),
    (
        r"Illuminate\\Http\\Client\\ConnectionException",
        "0",
        "cURL error 28: Connection timed out after 5001 milliseconds",
    ),
    (r"App\\Exceptions\\OutOfStock", "409", "Not enough items left of this article"),
    ("ErrorException", "0", r#"Undefined array key \"currency\""#),
];
const FRAMES: [&str; 6] = [
    r"/srv/shop/vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php(183): Illuminate\\Routing\\Router->Illuminate\\Routing\\{closure}(Object(Illuminate\\Http\\Request))",
    r"/srv/shop/vendor/laravel/framework/src/Illuminate/Routing/Controller.php(54): App\\Http\\Controllers\\CheckoutController->store(Object(App\\Http\\Requests\\StoreOrder))",
    r"/srv/shop/vendor/laravel/framework/src/Illuminate/Database/Connection.php(760): Illuminate\\Database\\Connection->runQueryCallback('insert into `or...', Array, Object(Closure))",
    r"/srv/shop/app/Services/Payments/CardGateway.php(88): App\\Services\\Payments\\CardGateway->send(Array)",
    r"/srv/shop/app/Jobs/SyncStock.php(41): App\\Services\\StockLedger->reserve(4711, 2)",
    r"/srv/shop/public/index.php(51): Illuminate\\Foundation\\Http\\Kernel->handle(Object(Illuminate\\Http\\Request))",
];

/// Appends record `number`.
pub(super) fn record(number: u64, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let trace = draw.between(0, 1000) < TRACES_IN_THOUSAND;
    let level = if trace { "ERROR" } else { draw.weighted(&LEVELS) };
    let _ = write!(out, "[{} {}] production.{level}: ", clock.date(), clock.time());
    if trace {
        with_trace(draw, out);
    } else if matches!(level, "ERROR" | "CRITICAL") {
        thrown(draw, out);
        out.push_str("\"} \n");
    } else {
        message(draw, out);
        context(draw, out);
    }
}

fn message(draw: &mut Draw, out: &mut String) {
    let model = draw.pick(&MODELS);
    let (id, ms) = (draw.between(1, 100_000), draw.between(1, 900));
    let _ = match draw.between(0, 6) {
        0 => write!(out, "{model} {id} was updated by the nightly import"),
        1 => write!(out, "Order #{id} placed, total {}.{:02} EUR", ms * 3, ms % 100),
        2 => write!(out, r"Job App\Jobs\Send{model}Mail finished in {ms} ms"),
        3 => write!(out, "Cache miss for {}:{id}, read from the database", model.to_lowercase()),
        4 => write!(out, "Slow query: select * from `orders` where `customer_id` = {id} ({ms} ms)"),
        _ => write!(out, "Login of user {id} from {}", draw.address()),
    };
}

fn context(draw: &mut Draw, out: &mut String) {
    let (a, b) = (draw.word(), draw.word());
    let _ = writeln!(
        out,
        " {{\"userId\":{},\"request_id\":\"{a:016x}{b:016x}\",\"ip\":\"{}\",\
         \"route\":\"api.{}.show\",\"memory_mb\":{},\"duration_ms\":{}.{}}} ",
        draw.between(1, 100_000),
        draw.address(),
        draw.pick(&MODELS).to_lowercase(),
        draw.between(20, 120),
        draw.between(1, 800),
        draw.between(0, 10),
    );
}

/// The message and the context up to the place where the exception was thrown.
fn thrown(draw: &mut Draw, out: &mut String) {
    let (class, code, message) = draw.pick(&THROWN);
    let text = message.replace("\\\"", "\"");
    let (user, line) = (draw.between(1, 100_000), draw.between(10, 900));
    let _ = write!(
        out,
        "{text} {{\"userId\":{user},\"exception\":\"[object] ({class}(code: {code}): {message} \
         at /srv/shop/app/Services/Checkout.php:{line})"
    );
}

fn with_trace(draw: &mut Draw, out: &mut String) {
    thrown(draw, out);
    out.push_str("\n[stacktrace]\n");
    let frames = draw.between(8, 24);
    for frame in 0..frames {
        let _ = writeln!(out, "#{frame} {}", draw.pick(&FRAMES));
    }
    let _ = writeln!(out, "#{frames} {{main}}\n\"}} ");
}
