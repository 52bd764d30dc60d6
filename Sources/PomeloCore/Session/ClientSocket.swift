// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloLoop

/// A client connection, as the core sees it; the connector implements it.
///
/// - Guarantee: what is sent arrives in call order or the connection ends.
@Loop public protocol ClientSocket: AnyObject {
    /// The type of the connector that it came through; nil where nobody tells.
    var connectorType: String? { get }
    /// Where the client connects from.
    var remoteAddress: SocketAddress { get }
    /// Bytes that wait for the client to read.
    var queuedBytes: Int { get }
    /// Whether the client has hung up already, also when that is still to be read.
    var hasHungUp: Bool { get }
    /// Answers a request; a closed socket ignores it.
    func respond(id: UInt32, body: Bytes)
    /// The same, for who writes the answers of some routes in a form of their own.
    func respond(id: UInt32, route: Route, body: Bytes)
    /// Sends a push; returns false when the socket cannot take it (closed, not yet open, too slow).
    @discardableResult
    func push(_ message: PushMessage) -> Bool
    /// Ends the connection after telling the client why, when there is a reason to tell.
    func close(kick reason: String?)
    /// Stops reading, when the session has too many requests in flight.
    func pauseReading()
    /// Reads on after `pauseReading`.
    func resumeReading()
}

extension ClientSocket {
    /// Nil: it is not told.
    public var connectorType: String? { nil }
    /// False: nobody can tell.
    public var hasHungUp: Bool { false }
    /// Answers all routes alike.
    public func respond(id: UInt32, route: Route, body: Bytes) { respond(id: id, body: body) }
}
