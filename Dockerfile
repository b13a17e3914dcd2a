# One image for each binary, `docker build --target tahoe-laravel .`; without a target, that of the
# operator's command. The library versions of the two bases belong together: both are Debian bookworm.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake g++ libssl-dev make perl pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN CFLAGS=-g0 cargo build --locked --profile dist --bins \
        --package tahoe --package tahoe-laravel --package tahoe-syslog --package tahoe-file \
        --package tahoe-mysql --package tahoe-postgres --package tahoe-mongodb \
        --package tahoe-transformer \
 && mkdir /out \
 && for binary in tahoe tahoe-laravel tahoe-syslog tahoe-file tahoe-mysql tahoe-postgres \
        tahoe-mongodb tahoe-transformer; do \
        install -s "target/dist/$binary" /out/ || exit 1; \
    done

FROM debian:bookworm-slim AS runtime
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/tahoe tahoe
WORKDIR /var/lib/tahoe
USER tahoe
# Where the probes below look. No port is published by the image.
ENV TAHOE_METRICS=127.0.0.1:9100

FROM runtime AS tahoe-laravel
COPY --from=build /out/tahoe-laravel /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-laravel", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-laravel"]

FROM runtime AS tahoe-syslog
COPY --from=build /out/tahoe-syslog /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-syslog", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-syslog"]

FROM runtime AS tahoe-mysql
COPY --from=build /out/tahoe-mysql /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-mysql", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-mysql"]

FROM runtime AS tahoe-file
COPY --from=build /out/tahoe-file /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-file", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-file"]

FROM runtime AS tahoe-postgres
COPY --from=build /out/tahoe-postgres /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-postgres", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-postgres"]

FROM runtime AS tahoe-mongodb
COPY --from=build /out/tahoe-mongodb /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-mongodb", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-mongodb"]

FROM runtime AS tahoe-transformer
COPY --from=build /out/tahoe-transformer /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["tahoe-transformer", "--probe", "http://127.0.0.1:9100/readyz"]
ENTRYPOINT ["tahoe-transformer"]

# The operator's command runs once, or as `tahoe up`; it has nothing to be probed by default.
FROM runtime AS tahoe
COPY --from=build /out/tahoe /usr/local/bin/
ENTRYPOINT ["tahoe"]
