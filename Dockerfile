# The janitor in an image: Python and no shell, code that belongs to root, run by a user that owns nothing.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t registry.example.com/janitor:0.1.0 .
#
# The bases stand here by tag. For builds that can be repeated to the byte, put what the tag means today behind
# it: NAME:TAG@sha256:… (`docker buildx imagetools inspect NAME:TAG` says it). RUNTIME must have the Python
# that BUILDER has, 3.13, since bytecode and compiled wheels are of one version.
ARG BUILDER=docker.io/library/python:3.13-slim-trixie
ARG UV=ghcr.io/astral-sh/uv:0.13.9
ARG RUNTIME=gcr.io/distroless/python3-debian13:nonroot

# hadolint ignore=DL3006
FROM ${UV} AS uv

# hadolint ignore=DL3006
FROM ${BUILDER} AS build
COPY --from=uv /uv /usr/local/bin/uv
WORKDIR /build
COPY pyproject.toml uv.lock ./
# What the lock says, by its hashes; a package without a wheel for this platform ends the build. The programs
# that packages bring (bin) name an interpreter that isn't in the image, and nothing calls them. Bytecode is
# made here, since nothing can be written where it runs; all can read it, whatever this shell's umask is.
RUN uv export --quiet --frozen --no-dev --no-emit-project --output-file requirements.txt \
 && uv pip install --quiet --no-cache --no-deps --require-hashes --only-binary :all: \
      --python "$(command -v python3)" --target packages --requirements requirements.txt \
 && rm -rf packages/bin \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash packages \
 && chmod -R u=rwX,go=rX packages
COPY janitor janitor
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash janitor \
 && chmod -R u=rwX,go=rX janitor

# hadolint ignore=DL3006
FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="registry janitor" \
      org.opencontainers.image.description="Cleans container registries by a small declarative policy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /build/packages /app
COPY --from=build /build/janitor /app/janitor
ENV PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /
# By number: only of a number can a cluster tell that it isn't root.
USER 65532:65532
# -P: nothing is imported from the folder that it is called in.
ENTRYPOINT ["/usr/bin/python3", "-P", "-m", "janitor"]
CMD ["--help"]
