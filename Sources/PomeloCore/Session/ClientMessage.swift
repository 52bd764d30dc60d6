// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One message from a client, after the connector's decoding.
public struct ClientMessage: Sendable {
    /// Chosen by the client, unique within its session; 0 for a notify.
    public let id: UInt32
    /// What the client asks for.
    public let route: Route
    /// As it came; decoded only where it is handled.
    public let body: Bytes
    /// When its bytes were read, in monotonic nanoseconds of the application's clock; nil means now.
    ///
    /// The time in which it must be answered counts from then, also while the connector held it back.
    public let arrival: UInt64?

    /// A message as the connector decoded it.
    public init(id: UInt32, route: Route, body: Bytes, arrival: UInt64? = nil) {
        self.id = id
        self.route = route
        self.body = body
        self.arrival = arrival
    }
}
