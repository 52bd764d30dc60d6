# The Chat example: one image for every server of the cluster, see docker-compose.yml.

FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libuv1-dev libhiredis-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies change less often than the sources: a layer of their own.
COPY Package.swift ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
RUN swift build -c release --product Chat \
    && swift build -c release --product ChatPage \
    && mkdir /out \
    && cp -r .build/release/Chat .build/release/ChatPage .build/release/*.resources /out/

FROM swift:6.3-bookworm-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libuv1 libhiredis0.14 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home pomelo
WORKDIR /app
COPY --from=build /out/ ./
COPY config config
USER pomelo
