# The images of the three programs: --target order-food, database-migration or database-load.
# Each holds a static program, the certificates of public authorities and a name for its user, and no shell.
# scripts/build-images.sh builds all three.

# Where the programs come from: `build` compiles them; `prebuilt` takes what scripts/image-files.sh has put into the
# build context, for programs that are built, and tested, already.
ARG PROGRAMS=build

FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS toolchain
WORKDIR /src
COPY scripts/build-programs.sh scripts/

# The manifests, with sources as good as none: this changes only when the dependencies do.
FROM toolchain AS manifests
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN find crates -type f ! -name Cargo.toml ! -name build.rs ! -path '*/src/main.rs' ! -path '*/src/lib.rs' \
      ! -path '*/benches/*' -delete \
 && find crates -name '*.rs' -exec sh -c 'echo "fn main() { }" >"$1"' sh {} ';' \
 && find crates -type d -empty -delete

# Compiles the dependencies: a layer of their own, so that a change of our code does not compile them again.
FROM toolchain AS dependencies
COPY --from=manifests /src ./
RUN scripts/build-programs.sh --profile dist

FROM dependencies AS build
COPY crates crates
COPY migrations migrations
COPY seed seed
COPY docs/openapi.yaml docs/
COPY scripts/image-files.sh scripts/
ARG SOURCE_DATE_EPOCH=0
# cargo goes by times, and these files may be older than what was compiled in their place.
RUN find crates -name '*.rs' -exec touch {} + \
 && scripts/image-files.sh "$(scripts/build-programs.sh --profile dist)" /image

FROM scratch AS prebuilt
COPY . /image

FROM ${PROGRAMS} AS files

FROM scratch AS base
COPY --from=files /image/root/ /
# Where the SQLite file is if no DATABASE_URL says otherwise; Kubernetes mounts the root read-only.
COPY --from=files --chown=65532:65532 /image/data /data
WORKDIR /data
USER 65532:65532
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.licenses=MIT

FROM base AS database-migration
LABEL org.opencontainers.image.title=database-migration \
      org.opencontainers.image.description="The schema of order-food"
COPY --from=files /image/database-migration /database-migration
ENTRYPOINT ["/database-migration"]

FROM base AS database-load
LABEL org.opencontainers.image.title=database-load \
      org.opencontainers.image.description="The data of order-food"
COPY --from=files /image/database-load /database-load
ENTRYPOINT ["/database-load"]

# Last, so that a build without --target makes the API.
FROM base AS order-food
LABEL org.opencontainers.image.title=order-food \
      org.opencontainers.image.description="The food ordering HTTP API"
COPY --from=files /image/order-food /order-food
# The program's own default is this machine only, which in a container is nobody.
ENV SERVER_ADDRESS=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/order-food", "healthcheck"]
ENTRYPOINT ["/order-food"]
