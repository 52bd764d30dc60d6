// SPDX-License-Identifier: MIT
#if Keel
    /// The bounds of the HTTP server.
    public struct KeelServerOptions: Sendable {
        /// Connections at a time; further ones wait to be accepted.
        public var connections = 1024
        /// Requests in progress; further ones are answered 503.
        public var requests = 512
        /// Bytes of a request's headers, names and values.
        public var headerBytes = 16 << 10
        /// Headers of a request.
        public var headerCount = 100
        /// Bytes of a request's target.
        public var targetBytes = 8 << 10
        /// Bytes of a body that are dropped after an early answer; with more of them the connection ends.
        public var droppedBytes = 4 << 20
        /// How long a connection may have no request.
        public var idle = Duration.seconds(60)
        /// From the first byte of a request's head to the last, and from there to its body's last byte.
        public var reading = Duration.seconds(30)
        /// From the last byte of an answer that was written to the last one that the caller's side has taken.
        public var writing = Duration.seconds(30)
        /// How long a connection that ends before all of a request was read lets the caller read the answer.
        public var lingering = Duration.seconds(2)

        /// The defaults.
        public init() {}
    }
#endif
